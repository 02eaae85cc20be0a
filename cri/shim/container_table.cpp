// SPDX-License-Identifier: Apache-2.0
// container_table.h: requests that are answered at once.
#include "cri/shim/container_table.h"

#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>

#include "common/cgroup/kill.h"
#include "common/clock.h"

namespace keelson::cri::shim {

Result<Container*> ContainerTable::find(const std::string& id) {
  auto found = containers_.find(id);
  if (found == containers_.end()) {
    return fail(Kind::not_found, "container {} is not in this sandbox", id);
  }
  return found->second.get();
}

/// The one that `request` means; nullptr for an exec that has ended.
Result<Process*> ContainerTable::find_process(const Request& request) {
  KEELSON_TRY(auto* container, find(request.container_id));
  if (request.exec_id.empty()) {
    return &container->process;
  }
  auto found = container->execs.find(request.exec_id);
  return found == container->execs.end() ? nullptr : &found->second;
}

Result<> ContainerTable::signal(const Request& request) {
  KEELSON_TRY(auto* process, find_process(request));
  if (process == nullptr || process->status.state == ProcessState::exited) {
    return {};
  }
  if (request.all) {
    cgroup::signal_members(containers_[request.container_id]->spec.cgroup_procs, request.number);
  }
  if (::syscall(SYS_pidfd_send_signal, process->child.pidfd.get(), request.number, nullptr, 0) < 0 && errno != ESRCH) {
    return fail_errno(errno, "signal container {}", request.container_id);
  }
  return {};
}

Result<Answer> ContainerTable::attach(const Request& request, std::vector<Fd>& fds) {
  KEELSON_TRY(auto* container, find(request.container_id));
  const bool terminal = container->spec.process.tty;
  // A terminal has one stream for both.
  const size_t streams = terminal ? 1 : 2;
  for (size_t i = 0; i < streams && i < fds.size(); ++i) {
    container->output.attach(static_cast<Stream>(i), std::move(fds[i]));
  }
  Answer answer;
  if (const auto& input = terminal ? container->process.terminal : container->input; input && !request.output_only) {
    KEELSON_TRY(answer.fd, duplicate(input.get()));
  }
  if (!terminal && !request.output_only && container->spec.stdin_once) {
    container->input.reset();  // the one who attached has the last writing end: it ends with him
  }
  return answer;
}

Result<> ContainerTable::resize(const Request& request) {
  KEELSON_TRY(auto* process, find_process(request));
  if (process == nullptr) {
    return fail(Kind::not_found, "exec {} has ended", request.exec_id);
  }
  winsize size{};
  size.ws_col = static_cast<unsigned short>(request.width);
  size.ws_row = static_cast<unsigned short>(request.height);
  if (!process->terminal || ::ioctl(process->terminal.get(), TIOCSWINSZ, &size) < 0) {
    return fail(Kind::conflict, "container {} has no terminal", request.container_id);
  }
  return {};
}

Result<> ContainerTable::reopen_log(const std::string& id) {
  KEELSON_TRY(auto* container, find(id));
  return container->output.reopen_log();
}

Answer ContainerTable::state() const {
  Answer answer;
  for (const auto& [id, container] : containers_) {
    answer.statuses.push_back(container->process.status);
    if (is_being_started(id)) {
      // Who asks now has not heard the one who asked for it; if it fails, that is told as an exit.
      answer.statuses.back().state = ProcessState::running;
      answer.statuses.back().started_at = real_clock().wall().time_since_epoch().count();
    }
    for (const auto& [exec_id, process] : container->execs) {
      answer.statuses.push_back(process.status);
    }
  }
  return answer;
}

void ContainerTable::pump(int fd) {
  for (auto& [id, container] : containers_) {
    if (container->output.owns(fd)) {
      container->output.pump(fd);
      return;
    }
  }
}

}  // namespace keelson::cri::shim
