// SPDX-License-Identifier: Apache-2.0
// child.h: clone3(2), in one step where nobody can look on, in two elsewhere.
#include "cri/shim/child.h"

#include <fmt/format.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>

#include <csignal>
#include <functional>

#include "cri/shim/child_channel.h"
#include "cri/shim/new_process.h"
#include "cri/shim/privileges.h"
#include "cri/shim/rootfs.h"
#include "cri/shim/two_steps.h"

namespace keelson::cri::shim {

namespace {

/// The cgroup v2 folder among the files to be joined. A child is born into it, because a move of a process into a v2
/// cgroup waits for an RCU grace period (10 ms), and a birth or a move by a v1 "tasks" file does not.
Fd second_cgroup(const std::vector<std::string>& procs) {
  for (const auto& file : procs) {
    Fd dir(::open(file.substr(0, file.rfind('/')).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (dir && ::faccessat(dir.get(), "cgroup.controllers", F_OK, 0) == 0) {
      return dir;
    }
  }
  return {};
}

/// A child that does `work`, which does not return.
Result<Child> clone_child(uint64_t flags, const ContainerSpec& spec, const std::function<void(const Fd&)>& work) {
  KEELSON_TRY(auto channel, make_channel());
  const auto cgroup = second_cgroup(spec.cgroup_procs);
  int pidfd = -1;
  clone_args args{};
  args.flags = flags | CLONE_PIDFD | (cgroup ? CLONE_INTO_CGROUP : 0);
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  args.cgroup = cgroup ? static_cast<uint64_t>(cgroup.get()) : 0;
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) {
    channel.ours.reset();
    work(channel.childs);
  }
  if (pid < 0) {
    return fail_errno(errno, "clone a process for container {}", spec.id);
  }
  ::fcntl(channel.ours.get(), F_SETFL, O_NONBLOCK);
  return Child{.pid = pid, .pidfd = Fd(pidfd), .channel = std::move(channel.ours)};
}

[[noreturn]] void run_container(const ContainerSpec& spec, const ChildStdio& stdio, const Fd& channel) {
  reset_signals();
  auto prepare = [&]() -> Result<NodeProc> {
    KEELSON_TRY(auto proc, begin_container(spec));
    KEELSON_DO(enter_rootfs(spec, UserNamespace(), false));
    KEELSON_DO(set_rlimits(spec.process.rlimits));
    return proc;
  };
  const auto proc = prepare();
  if (!proc) {
    end_child(channel, proc.error());
  }
  become({.process = spec.process, .stdio = stdio, .channel = channel, .wait = true, .proc = *proc});
}

}  // namespace

Result<Child> clone_container(const ContainerSpec& spec, ChildStdio stdio, const Sandbox& sandbox) {
  if (!sandbox.users() && (spec.pid == NamespaceMode::container || spec.pid == NamespaceMode::node)) {
    return clone_child(CLONE_NEWNS | (spec.pid == NamespaceMode::container ? CLONE_NEWPID : 0), spec,
                       [&](const Fd& channel) { run_container(spec, stdio, channel); });
  }
  Fd target;
  int pid_namespace = -1;
  if (spec.pid == NamespaceMode::pod) {
    pid_namespace = sandbox.pidns();
  } else if (spec.pid == NamespaceMode::target) {
    KEELSON_TRY(target, open_file(fmt::format("/proc/{}/ns/pid", spec.target_pid), O_RDONLY));
    pid_namespace = target.get();
  } else if (spec.pid == NamespaceMode::node) {
    return fail(Kind::invalid, "the node's PID namespace in a sandbox with a user namespace");
  }
  KEELSON_TRY(auto child, clone_child(CLONE_NEWNS, spec, [&](const Fd& channel) {
                bear_container({.spec = spec,
                                .stdio = stdio,
                                .channel = channel,
                                .users = sandbox.users(),
                                .pid_namespace = pid_namespace});
              }));
  child.first_step = true;
  return child;
}

Result<Child> clone_exec(const ContainerSpec& spec, const ProcessSpec& process, ChildStdio stdio, int container_pidfd,
                         const Sandbox& sandbox) {
  KEELSON_TRY(auto child, clone_child(0, spec, [&](const Fd& channel) {
                bear_exec({.spec = spec,
                           .process = process,
                           .stdio = stdio,
                           .channel = channel,
                           .users = sandbox.users(),
                           .container = container_pidfd});
              }));
  child.first_step = true;
  return child;
}

}  // namespace keelson::cri::shim
