// SPDX-License-Identifier: Apache-2.0
// container_table.h: new processes, from the request to their channel's last word.
#include <sys/wait.h>

#include <csignal>

#include "common/clock.h"
#include "common/pipe.h"
#include "cri/shim/container_table.h"
#include "cri/shim/oci/calls.h"

namespace keelson::cri::shim {

namespace {

int64_t now_ns() {
  return real_clock().wall().time_since_epoch().count();
}

}  // namespace

Result<> ContainerTable::create(uint32_t number, ContainerSpec spec) {
  if (containers_.contains(spec.id)) {
    return fail(Kind::exists, "container {} is already there", spec.id);
  }
  auto container = std::make_unique<Container>(std::move(spec), poller_);
  KEELSON_DO(container->output.open_log());
  const auto& wanted = container->spec;
  KEELSON_TRY(auto stdio, make_streams(*container));
  auto& process = container->process;
  if (oci::made_by_runtime(wanted)) {
    return create_by_runtime(number, std::move(container), std::move(stdio));
  }
  KEELSON_TRY(process.child, clone_container(wanted, std::move(stdio), sandbox_));
  process.status.container_id = wanted.id;
  await(process, number, Verb::create);
  containers_[wanted.id] = std::move(container);
  return {};
}

Result<ChildStdio> ContainerTable::make_streams(Container& container) {
  ChildStdio stdio;
  if (container.spec.process.tty) {
    return stdio;
  }
  KEELSON_TRY(stdio.out, container.output.add_pipe(Stream::out));
  KEELSON_TRY(stdio.error, container.output.add_pipe(Stream::error));
  if (container.spec.stdin_open) {
    KEELSON_TRY(auto ends, make_pipe());
    stdio.in = std::move(ends.read);
    container.input = std::move(ends.write);
  }
  give_to_root(stdio);
  return stdio;
}

/// Root of a user namespace may then give them on to the process' user.
void ContainerTable::give_to_root(const ChildStdio& stdio) const {
  const auto& users = sandbox_.users();
  for (const auto* stream : {&stdio.in, &stdio.out, &stdio.error}) {
    if (users && *stream) {  // a socket keeps its owner, and needs none
      static_cast<void>(::fchown(stream->get(), users.node_uid(0), users.node_gid(0)));
    }
  }
}

/// The first step has borne the process that was wanted.
void ContainerTable::adopt(Process& process, ChildMessage& born) {
  process.child.pid = born.pid;
  process.child.pidfd = std::move(born.descriptor);
  process.child.first_step = false;
  process.status.pid = born.pid;
}

/// It is made, and if it is to have a terminal, this is the only descriptor of the master that there is.
void ContainerTable::take_ready(Container& container, Process& process, ChildMessage& ready) {
  process.made = true;
  if (ready.descriptor) {
    process.terminal = std::move(ready.descriptor);
    if (process.status.exec_id.empty()) {
      container.output.use_terminal(*duplicate(process.terminal.get()));
    }
  }
  if (process.waiting_verb == Verb::create) {
    answer_waiting(process, -1);
  }
}

void ContainerTable::await(Process& process, uint32_t number, Verb verb) {
  process.status.pid = process.child.pid;
  process.status.created_at = now_ns();
  process.waiting_for = number;
  process.waiting_verb = verb;
  const int channel = process.child.channel.get();
  process.watch = poller_.watch(channel, Source::channel, static_cast<uint32_t>(channel));
}

Result<> ContainerTable::start(uint32_t number, const std::string& id) {
  KEELSON_TRY(auto* container, find(id));
  auto& process = container->process;
  if (process.status.state != ProcessState::created || process.waiting_for != 0) {
    return fail(Kind::conflict, "container {} has been started already", id);
  }
  if (oci::made_by_runtime(container->spec)) {
    return start_by_runtime(number, *container);
  }
  KEELSON_DO(release(process.child.channel.get()));
  process.waiting_for = number;
  process.waiting_verb = Verb::start;
  return {};
}

Result<> ContainerTable::exec(uint32_t number, Request& request, std::vector<Fd>& fds) {
  KEELSON_TRY(auto* container, find(request.container_id));
  if (container->process.status.state != ProcessState::running) {
    return fail(Kind::conflict, "container {} is not running", request.container_id);
  }
  if (container->execs.contains(request.exec_id)) {
    return fail(Kind::exists, "exec {} is already there", request.exec_id);
  }
  ChildStdio stdio;
  if (fds.size() >= 3) {
    stdio = {.in = std::move(fds[0]), .out = std::move(fds[1]), .error = std::move(fds[2])};
    give_to_root(stdio);
  }
  Process process;
  if (oci::made_by_runtime(container->spec)) {
    return exec_by_runtime(number, *container, request, std::move(stdio));
  }
  KEELSON_TRY(process.child, clone_exec(container->spec, request.process, std::move(stdio),
                                        container->process.child.pidfd.get(), sandbox_));
  process.status.container_id = request.container_id;
  process.status.exec_id = request.exec_id;
  await(process, number, Verb::exec);
  container->execs[request.exec_id] = std::move(process);
  return {};
}

Process* ContainerTable::process_of_channel(int channel, Container*& owner) {
  for (auto& [id, container] : containers_) {
    owner = container.get();
    if (container->process.child.channel.get() == channel) {
      return &container->process;
    }
    for (auto& [exec_id, process] : container->execs) {
      if (process.child.channel.get() == channel) {
        return &process;
      }
    }
  }
  return nullptr;
}

void ContainerTable::hear_channel(int fd) {
  if (calls_.contains(fd)) {
    hear_call(fd);
    return;
  }
  Container* container = nullptr;
  auto* process = process_of_channel(fd, container);
  if (process == nullptr) {
    return;
  }
  auto heard = read_child(fd);
  if (heard && !*heard) {
    return;
  }
  if (!heard || (*heard)->what == ChildMessage::What::failed) {
    failed(*container, *process, heard ? (*heard)->error : heard.error());
    return;
  }
  auto& message = **heard;
  if (message.what == ChildMessage::What::born) {
    adopt(*process, message);
    return;
  }
  if (message.what == ChildMessage::What::ready) {
    take_ready(*container, *process, message);
    return;
  }
  // End of file: exec has happened, or a container that was never started is gone.
  process->close_channel();
  if (process->child.first_step) {
    return;  // dead before it bore one: its end will tell
  }
  if (process->waiting_verb == Verb::start || process->waiting_verb == Verb::exec) {
    process->status.state = ProcessState::running;
    process->status.started_at = now_ns();
    answer_waiting(*process, process->status.exec_id.empty() ? -1 : process->terminal.get());
  }
}

void ContainerTable::answer_waiting(Process& process, int fd) {
  if (auto number = std::exchange(process.waiting_for, 0); number != 0) {
    Answer answer{.statuses = {process.status}, .fd = {}};
    if (fd >= 0) {
      answer.fd = duplicate(fd).value_or(Fd());
    }
    connections_.reply(static_cast<uint32_t>(number), std::move(answer));
  }
}

void ContainerTable::refuse_waiting(Process& process, const Error& error) {
  if (auto number = std::exchange(process.waiting_for, 0); number != 0) {
    connections_.reply(static_cast<uint32_t>(number), std::unexpected(error));
  }
}

void ContainerTable::failed(Container& container, Process& process, const Error& error) {
  process.close_channel();
  if (process.child.pid > 0) {
    ::kill(process.child.pid, SIGKILL);
    ::waitpid(process.child.pid, nullptr, 0);
  }
  auto number = std::exchange(process.waiting_for, 0);
  auto verb = process.waiting_verb;
  if (verb == Verb::exec) {
    container.execs.erase(process.status.exec_id);
  } else if (verb == Verb::create) {
    containers_.erase(container.spec.id);
  } else {
    process.status.state = ProcessState::exited;
    process.status.exit_code = 128;
    process.status.started_at = process.status.finished_at = now_ns();
    note_exit(container, process.status);
  }
  if (number != 0) {
    connections_.reply(static_cast<uint32_t>(number), std::unexpected(error));
  }
}

}  // namespace keelson::cri::shim
