// SPDX-License-Identifier: Apache-2.0
// container_table.h: containers that an OCI runtime makes. Its commands take tens of milliseconds and may hang, so each
// runs in a child, and what it has come to is heard on the child's channel.
//
// A process that the runtime leaves behind is ours to reap, and may end before we know its number: exits that nobody
// claims wait for the calls under way.
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>

#include "common/cgroup/kill.h"
#include "common/clock.h"
#include "cri/shim/container_table.h"
#include "cri/shim/oci/calls.h"

namespace keelson::cri::shim {

namespace {

constexpr int kDeletes = 10'000;  // milliseconds; its processes are dead by then
constexpr const char* kCallKilled = "the runtime's command was killed";

int64_t now_ns() {
  return real_clock().wall().time_since_epoch().count();
}

/// It is a child of ours, not reaped yet, or it was never one.
void take_over(Process& process, pid_t pid) {
  process.child.pid = pid;
  process.child.pidfd = Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  process.status.pid = pid;
}

}  // namespace

bool ContainerTable::is_made_by_runtime(const Request& request) const {
  const auto found = containers_.find(request.container_id);
  return found != containers_.end() && request.exec_id.empty() && oci::made_by_runtime(found->second->spec);
}

bool ContainerTable::is_being_started(const std::string& id) const {
  return std::ranges::any_of(
      calls_, [&](const auto& entry) { return entry.second.container_id == id && entry.second.verb == Verb::start; });
}

Result<> ContainerTable::create_by_runtime(uint32_t number, std::unique_ptr<Container> container, ChildStdio stdio) {
  const auto& spec = container->spec;
  KEELSON_TRY(auto child, oci::call_create(spec, std::move(stdio), sandbox_));
  container->process.status.container_id = spec.id;
  container->process.status.created_at = now_ns();
  watch_call({.child = std::move(child), .verb = Verb::create, .number = number, .container_id = spec.id});
  const auto id = spec.id;
  containers_[id] = std::move(container);
  return {};
}

Result<> ContainerTable::start_by_runtime(uint32_t number, const Container& container) {
  const auto& id = container.spec.id;
  if (std::ranges::any_of(calls_, [&](const auto& entry) {
        return entry.second.container_id == id && entry.second.verb != Verb::signal;
      })) {
    return fail(Kind::conflict, "container {} is being made or started", id);
  }
  KEELSON_TRY(auto child, oci::call_start(container.spec));
  watch_call({.child = std::move(child), .verb = Verb::start, .number = number, .container_id = id});
  return {};
}

Result<> ContainerTable::exec_by_runtime(uint32_t number, Container& container, const Request& request,
                                         ChildStdio stdio) {
  KEELSON_TRY(auto child, oci::call_exec(container.spec, request.exec_id, request.process, std::move(stdio)));
  auto& process = container.execs[request.exec_id];
  process.status.container_id = request.container_id;
  process.status.exec_id = request.exec_id;
  process.status.created_at = now_ns();
  watch_call({.child = std::move(child),
              .verb = Verb::exec,
              .number = number,
              .container_id = request.container_id,
              .exec_id = request.exec_id});
  return {};
}

Result<> ContainerTable::signal_by_runtime(uint32_t number, const Request& request) {
  KEELSON_TRY(auto* container, find(request.container_id));
  if (container->process.status.state == ProcessState::exited) {
    connections_.reply(number, Answer{});
    return {};
  }
  KEELSON_TRY(auto child, oci::call_kill(container->spec, request.number));
  watch_call({.child = std::move(child),
              .verb = Verb::signal,
              .number = number,
              .container_id = request.container_id,
              .signal = request.number});
  return {};
}

void ContainerTable::watch_call(Call call) {
  const int channel = call.child.channel.get();
  call.watch = poller_.watch(channel, Source::channel, static_cast<uint32_t>(channel));
  calls_.emplace(channel, std::move(call));
}

void ContainerTable::hear_call(int channel) {
  auto heard = read_child(channel);
  if (heard && !*heard) {
    return;
  }
  Result<Fd> outcome = fail(Kind::internal, kCallKilled);
  if (!heard) {
    outcome = std::unexpected(std::move(heard).error());
  } else if ((*heard)->what == ChildMessage::What::failed) {
    outcome = std::unexpected((*heard)->error);
  } else if ((*heard)->what == ChildMessage::What::ready) {
    outcome = std::move((*heard)->descriptor);
  }
  auto node = calls_.extract(channel);
  call_ended(node.mapped(), std::move(outcome));
  settle_exits();
}

void ContainerTable::call_ended(const Call& call, Result<Fd> outcome) {
  Result<Answer> answer = Answer{};
  switch (call.verb) {
    case Verb::create:
      answer = adopt_created(call, std::move(outcome));
      break;
    case Verb::start:
      answer = adopt_started(call, outcome);
      break;
    case Verb::exec:
      answer = adopt_exec(call, std::move(outcome));
      break;
    default:
      answer = signal_sent(call, outcome);
      break;
  }
  connections_.reply(call.number, std::move(answer));
}

Result<Answer> ContainerTable::adopt_created(const Call& call, Result<Fd> outcome) {
  KEELSON_TRY(auto* container, find(call.container_id));
  const auto spec = container->spec;
  auto pid = outcome ? oci::take_pid(spec, "") : Result<pid_t>(std::unexpected(outcome.error()));
  if (!pid) {
    containers_.erase(call.container_id);
    return std::unexpected(std::move(pid).error());
  }
  auto& process = container->process;
  take_over(process, *pid);
  process.made = true;
  if (*outcome) {
    process.terminal = std::move(*outcome);
    container->output.use_terminal(*duplicate(process.terminal.get()));
  }
  return Answer{.statuses = {process.status}, .fd = {}};
}

Result<Answer> ContainerTable::adopt_started(const Call& call, const Result<Fd>& outcome) {
  KEELSON_TRY(auto* container, find(call.container_id));
  auto& process = container->process;
  if (outcome) {
    process.status.state = ProcessState::running;
    process.status.started_at = now_ns();
    return Answer{.statuses = {process.status}, .fd = {}};
  }
  // It was never let go, or it has ended with the reason of the error.
  if (early_exits_.erase(process.child.pid) == 0 && process.child.pid > 0) {
    ::kill(process.child.pid, SIGKILL);
    ::waitpid(process.child.pid, nullptr, 0);
  }
  process.status.state = ProcessState::exited;
  process.status.exit_code = 128;
  process.status.started_at = process.status.finished_at = now_ns();
  note_exit(*container, process.status);
  return std::unexpected(outcome.error());
}

Result<Answer> ContainerTable::adopt_exec(const Call& call, Result<Fd> outcome) {
  KEELSON_TRY(auto* container, find(call.container_id));
  auto pid = outcome ? oci::take_pid(container->spec, call.exec_id) : Result<pid_t>(std::unexpected(outcome.error()));
  if (!pid) {
    container->execs.erase(call.exec_id);
    return std::unexpected(std::move(pid).error());
  }
  auto& process = container->execs[call.exec_id];
  take_over(process, *pid);
  process.terminal = std::move(*outcome);
  process.status.state = ProcessState::running;
  process.status.started_at = now_ns();
  Answer answer{.statuses = {process.status}, .fd = {}};
  if (process.terminal) {
    KEELSON_TRY(answer.fd, duplicate(process.terminal.get()));
  }
  return answer;
}

Result<Answer> ContainerTable::signal_sent(const Call& call, const Result<Fd>& outcome) {
  const auto found = containers_.find(call.container_id);
  if (outcome || found == containers_.end() || found->second->process.status.state == ProcessState::exited ||
      early_exits_.contains(found->second->process.child.pid)) {
    return Answer{};
  }
  const auto& child = found->second->process.child;
  if (call.signal == SIGKILL && child.pidfd &&
      ::syscall(SYS_pidfd_send_signal, child.pidfd.get(), SIGKILL, nullptr, 0) == 0) {
    return Answer{};  // the runtime could not, or hangs; its process goes nevertheless
  }
  return std::unexpected(outcome.error());
}

bool ContainerTable::waits_for_call(pid_t pid) const {
  bool known = false;
  std::string container_id;
  std::string exec_id;
  for (const auto& [id, container] : containers_) {
    const auto is = [&](const Process& process) {
      return process.child.pid == pid && process.status.state != ProcessState::exited;
    };
    if (is(container->process)) {
      known = true;
      container_id = id;
    }
    for (const auto& [name, process] : container->execs) {
      if (is(process)) {
        known = true;
        container_id = id;
        exec_id = name;
      }
    }
  }
  return std::ranges::any_of(calls_, [&](const auto& entry) {
    const auto& call = entry.second;
    const bool about_it = call.container_id == container_id && call.exec_id == exec_id;
    return call.verb != Verb::signal && (!known || about_it);
  });
}

void ContainerTable::settle_exits() {
  for (auto at = early_exits_.begin(); at != early_exits_.end();) {
    if (waits_for_call(at->first)) {
      ++at;
      continue;
    }
    const auto [pid, status] = *at;
    at = early_exits_.erase(at);
    ended(pid, status);
  }
}

void ContainerTable::abort_calls(const std::string& container_id) {
  for (auto at = calls_.begin(); at != calls_.end();) {
    if (at->second.container_id != container_id) {
      ++at;
      continue;
    }
    oci::end_call(at->second.child);
    auto node = calls_.extract(at++);
    call_ended(node.mapped(), fail(Kind::cancelled, "container {} is being removed", container_id));
  }
  settle_exits();
}

Result<> ContainerTable::delete_by_runtime(const ContainerSpec& spec) {
  // A create that was cut short has left somebody that neither we nor the runtime know.
  KEELSON_DO(cgroup::kill_members(spec.cgroup_procs).context("kill container {}", spec.id));
  KEELSON_TRY(auto child, oci::call_delete(spec));
  return oci::await_call(std::move(child), kDeletes);
}

}  // namespace keelson::cri::shim
