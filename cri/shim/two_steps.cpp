// SPDX-License-Identifier: Apache-2.0
// two_steps.h: clone3(2) with CLONE_PARENT, setns(2), and the line between the steps.
#include "cri/shim/two_steps.h"

#include <fmt/format.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <functional>

#include "cri/shim/child_channel.h"
#include "cri/shim/privileges.h"
#include "cri/shim/proc_mount.h"
#include "cri/shim/rootfs.h"

namespace keelson::cri::shim {

namespace {

std::unexpected<Error> no_clone() {
  return fail_errno(errno, "clone");
}

/// What is open in a first step beside its standard streams once it has left the node.
std::vector<int> kept_open(const ChildStdio& stdio, const Fd& channel, const ProcessSpec& process,
                           const NodeProc& proc) {
  std::vector<int> kept = {channel.get(), stdio.in.get(), stdio.out.get(), stdio.error.get()};
  if (!process.apparmor_profile.empty() || !process.selinux_label.empty()) {
    kept.push_back(proc.fd());
  }
  return kept;
}

/// Bears the process, tells the shim, and lets it go on with `born`: not before the shim has been told. Only the
/// process returns into `born`; we end.
[[noreturn]] void bear(uint64_t flags, Channel& line, const Fd& channel, const std::function<void(const Fd&)>& born) {
  Fd pidfd;
  const auto pid = clone_sibling(flags, pidfd);
  if (pid == 0) {
    line.ours.reset();
    char go = 0;
    if (::recv(line.childs.get(), &go, 1, 0) != 1) {
      ::_exit(0);  // whoever bore it is gone, and the shim does not know it
    }
    born(line.childs);
  }
  if (pid < 0) {
    end_child(channel, no_clone().error());
  }
  tell_born(channel.get(), pid, pidfd);
  char go = 1;
  ::send(line.ours.get(), &go, 1, MSG_NOSIGNAL);
  ::_exit(0);
}

Result<> enter(int space, int type, const char* what) {
  return ::setns(space, type) == 0 ? Result<>() : fail_errno(errno, "enter the {} namespace", what);
}

/// The rest of a container's way, from inside.
[[noreturn]] void be_container(const ContainerBirth& birth, const RestOfRootfs& rest, const NodeProc& proc,
                               const Fd& line) {
  auto finish = [&]() -> Result<> {
    if (!birth.users) {
      return finish_rootfs(birth.spec, rest, birth.users, make_proc);
    }
    KEELSON_DO(become_namespace_root());
    // Ours, of the user namespace: what is mounted so far cannot be taken apart in it (MNT_LOCKED).
    if (::unshare(CLONE_NEWNS | (birth.spec.cgroup_namespace ? CLONE_NEWCGROUP : 0)) < 0) {
      return fail_errno(errno, "make a mount namespace");
    }
    return finish_rootfs(birth.spec, rest, birth.users, [&](uint64_t) { return ask_for_proc(line.get()); });
  };
  if (auto finished = finish(); !finished) {
    end_child(birth.channel, finished.error());
  }
  become({.process = birth.spec.process, .stdio = birth.stdio, .channel = birth.channel, .wait = true, .proc = proc});
}

/// The step that enters the namespaces and bears.
[[noreturn]] void bear_inside(const ContainerBirth& birth, const RestOfRootfs& rest, const NodeProc& proc,
                              Channel& line) {
  auto entered = [&]() -> Result<> {
    if (birth.pid_namespace >= 0) {  // by who may look at its first process
      KEELSON_DO(enter(birth.pid_namespace, CLONE_NEWPID, "PID"));
    }
    return birth.users ? enter(birth.users.fd.get(), CLONE_NEWUSER, "user") : Result<>();
  }();
  if (!entered) {
    end_child(birth.channel, entered.error());
  }
  bear(birth.pid_namespace < 0 ? CLONE_NEWPID : 0, line, birth.channel,
       [&](const Fd& end) { be_container(birth, rest, proc, end); });
}

uint64_t proc_flags(const ContainerSpec& spec, const RestOfRootfs& rest) {
  uint64_t flags = 0;
  for (const auto& part : rest.mounts) {
    flags |= spec.mounts[part.mount].kind == MountKind::filesystem ? spec.mounts[part.mount].flags : 0;
  }
  return flags;
}

struct Built {
  NodeProc proc;
  RestOfRootfs rest;
  Channel line;
};

Result<Built> build(const ContainerBirth& birth) {
  const auto& spec = birth.spec;
  KEELSON_TRY(auto proc, begin_container(spec));
  KEELSON_TRY(auto line, make_channel());
  if (birth.users) {
    KEELSON_DO(make_files_as(birth.users.node_uid(0), birth.users.node_gid(0)));
  }
  KEELSON_TRY(auto rest, enter_rootfs(spec, birth.users, true));
  KEELSON_DO(set_rlimits(spec.process.rlimits));  // some of it nobody in a user namespace may
  return Built{.proc = std::move(proc), .rest = std::move(rest), .line = std::move(line)};
}

}  // namespace

pid_t clone_sibling(uint64_t flags, Fd& pidfd) {
  int fd = -1;
  clone_args args{};
  args.flags = flags | CLONE_PARENT | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&fd);
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  if (pid > 0) {
    pidfd = Fd(fd);
  }
  return pid;
}

void bear_container(const ContainerBirth& birth) {
  reset_signals();
  auto built = build(birth);
  if (!built) {
    end_child(birth.channel, built.error());
  }
  auto kept = kept_open(birth.stdio, birth.channel, birth.spec.process, built->proc);
  kept.insert(kept.end(),
              {built->line.ours.get(), built->line.childs.get(), birth.users.fd.get(), birth.pid_namespace});
  for (const auto& part : built->rest.mounts) {
    kept.push_back(part.copy.get());
  }
  close_all_but(std::move(kept));
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (!birth.users) {
    bear_inside(birth, built->rest, built->proc, built->line);
  }
  Fd between;
  const auto pid = clone_sibling(0, between);
  if (pid == 0) {
    bear_inside(birth, built->rest, built->proc, built->line);
  }
  if (pid < 0) {
    end_child(birth.channel, no_clone().error());
  }
  built->line.childs.reset();
  if (auto served = serve_proc(built->line.ours.get(), proc_flags(birth.spec, built->rest)); !served) {
    end_child(birth.channel, served.error());
  }
  ::_exit(0);
}

void bear_exec(const ExecBirth& birth) {
  reset_signals();
  struct Ready {
    NodeProc proc;
    Channel line;
  };
  auto ready = [&]() -> Result<Ready> {
    KEELSON_DO(join_cgroups(birth.spec.cgroup_procs));
    KEELSON_DO(set_oom_score(birth.spec.oom_score_adj));
    KEELSON_TRY(auto proc, NodeProc::open());
    KEELSON_TRY(auto line, make_channel());
    KEELSON_DO(set_rlimits(birth.process.rlimits));
    if (::setns(birth.container, CLONE_NEWNS | (birth.users ? CLONE_NEWUSER : 0) |
                                     (birth.spec.cgroup_namespace ? CLONE_NEWCGROUP : 0) |
                                     (birth.spec.pid == NamespaceMode::node ? 0 : CLONE_NEWPID)) < 0) {
      return fail_errno(errno, "enter the container");
    }
    ::umask(0022);
    return Ready{.proc = std::move(proc), .line = std::move(line)};
  }();
  if (!ready) {
    end_child(birth.channel, ready.error());
  }
  auto kept = kept_open(birth.stdio, birth.channel, birth.process, ready->proc);
  kept.insert(kept.end(), {ready->line.ours.get(), ready->line.childs.get()});
  close_all_but(std::move(kept));
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  bear(0, ready->line, birth.channel, [&](const Fd&) {
    if (birth.users) {
      if (auto root = become_namespace_root(); !root) {
        end_child(birth.channel, root.error());
      }
    }
    become(
        {.process = birth.process, .stdio = birth.stdio, .channel = birth.channel, .wait = false, .proc = ready->proc});
  });
}

}  // namespace keelson::cri::shim
