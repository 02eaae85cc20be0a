// SPDX-License-Identifier: Apache-2.0
// container_table.h: ends of processes, and of containers.
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>

#include <csignal>

#include "common/atomic_file.h"
#include "common/cgroup/kill.h"
#include "common/clock.h"
#include "cri/shim/container_table.h"
#include "cri/shim/oci/calls.h"

namespace keelson::cri::shim {

namespace {

// After its first process, while the loop waits. Who is not dead by then is told of by remove().
constexpr std::chrono::milliseconds kFollowers{500};
constexpr int kReapPause = 1;  // milliseconds
constexpr const char* kKilledInTheMaking = "the container's process was killed while it was made";

int64_t now_ns() {
  return real_clock().wall().time_since_epoch().count();
}

std::string exit_file(const Sandbox& sandbox, const std::string& id) {
  return fmt::format("{}/{}.exit", sandbox.spec().run_dir, id);
}

/// One that an OCI runtime is still making has no number yet, and -1 would be everybody.
void kill_process(const Process& process) {
  if (process.child.pid > 0) {
    ::kill(process.child.pid, SIGKILL);
  }
}

bool anybody_lives(const Container& container) {
  const auto& first = container.process;
  return (first.status.state != ProcessState::exited && first.child.pid > 0) || !container.execs.empty();
}

}  // namespace

void ContainerTable::reap() {
  int status = 0;
  pid_t pid = 0;
  while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
    ended(pid, status);
  }
}

void ContainerTable::ended(pid_t pid, int status) {
  if (waits_for_call(pid)) {
    early_exits_[pid] = status;
    return;
  }
  if (known_ended(pid, status)) {
    return;
  }
  // Perhaps the one that a first step has borne, and we have not heard of it yet.
  std::vector<int> channels;
  for (const auto& [id, container] : containers_) {
    if (container->process.child.first_step && container->process.child.channel) {
      channels.push_back(container->process.child.channel.get());
    }
    for (const auto& [exec_id, process] : container->execs) {
      if (process.child.first_step && process.child.channel) {
        channels.push_back(process.child.channel.get());
      }
    }
  }
  for (const int channel : channels) {
    hear_channel(channel);
  }
  if (!channels.empty()) {
    known_ended(pid, status);
  }
}

bool ContainerTable::known_ended(pid_t pid, int status) {
  for (auto& [id, container] : containers_) {
    if (container->process.child.pid == pid && container->process.status.state != ProcessState::exited) {
      auto& process = container->process;
      if (hear_last_words(*container, process)) {
        return true;
      }
      if (process.waiting_verb == Verb::create && process.status.state != ProcessState::running && !process.made) {
        // The channel's end may have been heard before, and told nothing.
        refuse_waiting(process, Error(Kind::internal, kKilledInTheMaking));
        containers_.erase(id);
        return true;
      }
      process_ended(*container, process, status);
      return true;
    }
    for (auto& [exec_id, process] : container->execs) {
      if (process.child.pid == pid) {
        if (hear_last_words(*container, process)) {
          return true;
        }
        if (process.child.first_step) {
          refuse_waiting(process, Error(Kind::internal, kKilledInTheMaking));
        } else {
          process_ended(*container, process, status);
        }
        container->execs.erase(exec_id);
        return true;
      }
    }
  }
  return false;
}

void ContainerTable::process_ended(Container& container, Process& process, int status) {
  auto& told = process.status;
  told.state = ProcessState::exited;
  told.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  told.exit_code = WIFSIGNALED(status) ? 128 + told.signal : WEXITSTATUS(status);
  told.finished_at = now_ns();
  if (told.started_at == 0) {
    told.started_at = told.finished_at;
  }
  if (!told.exec_id.empty()) {
    connections_.publish(told);
    return;
  }
  if (container.spec.pid != NamespaceMode::container) {
    auto killed = cgroup::kill_members(container.spec.cgroup_procs, kFollowers);
    static_cast<void>(killed);  // remove() tries again, and tells
  }
  container.output.drain();
  note_exit(container, told);
}

void ContainerTable::note_exit(Container& container, const ProcessStatus& status) {
  if (container.leaving) {
    return;
  }
  // Beside the shim's socket, so that it is known even if the shim is killed.
  if (auto saved = write_file_atomic(exit_file(sandbox_, status.container_id), encode(status), 0600); !saved) {
    // Nobody listens to a shim's own troubles; the status stays in memory, and only a killed shim would lose it.
  }
  connections_.publish(status);
}

/// A process may end before its channel was read: what it said there decides what the waiting caller is told. True if
/// it was a first step, and the process that it bore takes its place.
bool ContainerTable::hear_last_words(Container& container, Process& process) {
  if (!process.child.channel) {
    return false;
  }
  auto heard = read_child(process.child.channel.get());
  while (heard && *heard && (*heard)->what == ChildMessage::What::ready) {
    take_ready(container, process, **heard);
    heard = read_child(process.child.channel.get());
  }
  if (heard && *heard && (*heard)->what == ChildMessage::What::born) {
    adopt(process, **heard);
    return true;
  }
  process.close_channel();
  if (heard && *heard && (*heard)->what == ChildMessage::What::failed) {
    refuse_waiting(process, (*heard)->error);
  } else if (process.waiting_verb == Verb::create || process.child.first_step) {
    refuse_waiting(process, Error(Kind::internal, kKilledInTheMaking));
  } else {
    process.status.started_at = now_ns();
    process.status.state = ProcessState::running;
    answer_waiting(process, process.terminal.get());
  }
  return false;
}

Result<> ContainerTable::kill_all(const std::string& id) {
  const auto deadline = std::chrono::steady_clock::now() + cgroup::kKillTime;
  for (;;) {
    // Looked up anew: one that was not made yet leaves the table as it ends.
    auto found = containers_.find(id);
    if (found == containers_.end()) {
      return {};
    }
    auto& container = *found->second;
    if (!anybody_lives(container)) {
      return cgroup::kill_members(container.spec.cgroup_procs);
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return fail(Kind::timeout, "process {} is not dead {} ms after SIGKILL", container.process.child.pid,
                  cgroup::kKillTime.count());
    }
    cgroup::signal_members(container.spec.cgroup_procs, SIGKILL);
    if (container.process.status.state != ProcessState::exited) {
      kill_process(container.process);
    }
    for (const auto& [exec_id, process] : container.execs) {
      kill_process(process);
    }
    // Whoever ends is reaped, whosoever it is: the first process of a PID namespace ends only after all in it that are
    // our children, too.
    ::poll(nullptr, 0, kReapPause);
    reap();
  }
}

Result<> ContainerTable::remove(const std::string& id) {
  auto found = containers_.find(id);
  if (found == containers_.end()) {
    return {};
  }
  found->second->leaving = true;
  const auto spec = oci::made_by_runtime(found->second->spec) ? found->second->spec : ContainerSpec{};
  abort_calls(id);
  KEELSON_DO(kill_all(id).context("kill container {}", id));
  if (oci::made_by_runtime(spec)) {
    KEELSON_DO(delete_by_runtime(spec));
  }
  ::unlink(exit_file(sandbox_, id).c_str());
  if (found = containers_.find(id); found != containers_.end()) {
    found->second->output.drain();
    containers_.erase(found);
  }
  return {};
}

Result<> ContainerTable::remove_all() {
  std::vector<std::string> ids;
  for (const auto& [id, container] : containers_) {
    ids.push_back(id);
  }
  Result<> outcome;
  for (const auto& id : ids) {
    if (auto removed = remove(id); !removed) {
      outcome = std::move(removed);
    }
  }
  return outcome;
}

}  // namespace keelson::cri::shim
