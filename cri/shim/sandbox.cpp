// SPDX-License-Identifier: Apache-2.0
// unshare(2), the pinned netns, and PID 1 of a shared PID namespace.
#include "cri/shim/sandbox.h"

#include <fmt/format.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "common/sysctl_name.h"
#include "cri/shim/child_channel.h"
#include "cri/shim/new_process.h"
#include "cri/shim/privileges.h"
#include "cri/shim/two_steps.h"

namespace keelson::cri::shim {

namespace {

constexpr uid_t kNobody = 65535;  // as the pause container of Kubernetes

Result<> pin_network(const std::string& path) {
  KEELSON_TRY(auto file, open_file(path, O_RDONLY | O_CREAT, 0444));
  if (::mount("/proc/self/ns/net", path.c_str(), nullptr, MS_BIND, nullptr) < 0) {
    return fail_errno(errno, "pin the network namespace at {}", path);
  }
  return {};
}

/// Limited as everywhere (64 MiB), and counted to the cgroup of who writes: a plain folder would fill the node's disk.
Result<> mount_shared_memory(const std::string& folder, const UserNamespace& users) {
  KEELSON_DO(make_directories(folder));
  const auto options = fmt::format("size=64m,mode=1777,uid={},gid={}", users.node_uid(0), users.node_gid(0));
  if (::mount("shm", folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options.c_str()) < 0) {
    return fail_errno(errno, "mount shared memory at {}", folder);
  }
  return {};
}

/// A network without loopback breaks programs that never leave their pod.
Result<> raise_loopback() {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (!socket || ::ioctl(socket.get(), SIOCSIFFLAGS, &request) < 0) {
    return fail_errno(errno, "raise the loopback link");
  }
  return {};
}

Result<> set_sysctl(const Sysctl& sysctl) {
  const auto path = sysctl_path(sysctl.name);
  return path ? write_value(*path, sysctl.value).context("set sysctl {}", sysctl.name)
              : fail(Kind::invalid, "sysctl {} is no name", sysctl.name);
}

/// An empty root that cannot be written, mounted over `folder` in a mount namespace of our own.
Result<> enter_empty_root(const std::string& folder) {
  if (::unshare(CLONE_NEWNS) < 0 || ::mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) < 0 ||
      ::mount("none", folder.c_str(), "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=0555") < 0 ||
      ::chdir(folder.c_str()) < 0 || ::syscall(SYS_pivot_root, ".", ".") < 0 || ::umount2(".", MNT_DETACH) < 0 ||
      ::chdir("/") < 0) {
    return fail_errno(errno, "leave the node's root");
  }
  return {};
}

/// PID 1 of the shared namespace: reaps orphans until it is killed. The pod's processes see it, and one with SYS_PTRACE
/// may become it: it has nothing that they have not, no file of the node and no capability (as a pause container).
[[noreturn]] void run_init(const UserNamespace& users, const Fd& line) {
  ProcessSpec nobody;
  nobody.no_new_privs = true;
  const auto last = users ? std::min(users.uids[0].length, users.gids[0].length) - 1 : kNobody;
  const auto id = std::min<uid_t>(kNobody, last);
  if (auto dropped = drop_privileges(nobody, User{.uid = id, .gid = id}); !dropped) {
    end_child(line, dropped.error());
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  ::prctl(PR_SET_NAME, "pod-init", 0, 0, 0);
  tell_ready(line.get(), Fd());
  ::close_range(0, ~0U, 0);
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child, nullptr);
  for (;;) {
    ::sigwaitinfo(&child, nullptr);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

}  // namespace

Result<std::unique_ptr<Sandbox>> Sandbox::enter(SandboxSpec wanted) {
  std::unique_ptr<Sandbox> sandbox(new Sandbox(std::move(wanted)));
  const auto& spec = sandbox->spec_;
  for (const auto& file : spec.cgroup_procs) {
    KEELSON_DO(write_value(file, "0").context("join the sandbox's cgroup"));
  }
  KEELSON_DO(set_oom_score(spec.oom_score_adj));
  KEELSON_DO(sandbox->enter_namespaces().context("make the sandbox's namespaces"));
  if (!spec.netns_pin.empty()) {
    KEELSON_DO(make_directories(spec.netns_pin.substr(0, spec.netns_pin.find_last_of('/'))));
    sandbox->pinned_ = true;  // from here on there may be a file, even if the mount then fails
    KEELSON_DO(pin_network(spec.netns_pin));
    KEELSON_DO(raise_loopback());
  }
  if (!spec.shm_dir.empty()) {
    KEELSON_DO(mount_shared_memory(spec.shm_dir, sandbox->users_));
    sandbox->shared_memory_ = true;
  }
  if (!spec.hostname.empty() && ::sethostname(spec.hostname.data(), spec.hostname.size()) < 0) {
    return fail_errno(errno, "set the host name {}", spec.hostname);
  }
  for (const auto& sysctl : spec.sysctls) {
    KEELSON_DO(set_sysctl(sysctl));
  }
  if (spec.pid == NamespaceMode::pod) {
    KEELSON_DO(sandbox->start_init().context("start the first process of the shared PID namespace"));
  }
  return sandbox;
}

Result<> Sandbox::enter_namespaces() {
  const bool network = !spec_.netns_pin.empty();
  if (spec_.uid_mappings.empty()) {
    const int flags = (network ? CLONE_NEWNET : 0) | (spec_.ipc == NamespaceMode::node ? 0 : CLONE_NEWIPC) |
                      (network || !spec_.hostname.empty() ? CLONE_NEWUTS : 0);
    return ::unshare(flags) == 0 ? Result<>() : fail_errno(errno, "unshare");
  }
  if (!network || spec_.ipc == NamespaceMode::node || spec_.pid == NamespaceMode::node) {
    return fail(Kind::invalid, "the node's network, IPC or PID namespace with a user namespace");
  }
  KEELSON_TRY(auto made, make_namespaces(spec_.uid_mappings, spec_.gid_mappings));
  if (::setns(made.network.get(), CLONE_NEWNET) < 0 || ::setns(made.ipc.get(), CLONE_NEWIPC) < 0 ||
      ::setns(made.uts.get(), CLONE_NEWUTS) < 0) {
    return fail_errno(errno, "enter them");
  }
  users_ = {.fd = std::move(made.user), .uids = spec_.uid_mappings, .gids = spec_.gid_mappings};
  return {};
}

/// In two steps, as a container: the first leaves the node's root and enters the user namespace that is to own the PID
/// namespace. It is alone with it until then.
Result<> Sandbox::start_init() {
  KEELSON_TRY(auto line, make_channel());
  Fd between;
  auto first = [&] {
    line.ours.reset();
    auto entered = enter_empty_root(spec_.run_dir);
    if (entered && users_ && ::setns(users_.fd.get(), CLONE_NEWUSER) < 0) {
      entered = fail_errno(errno, "enter the user namespace");
    }
    if (!entered) {
      end_child(line.childs, entered.error());
    }
    Fd pidfd;
    const auto born = clone_sibling(CLONE_NEWPID, pidfd);
    if (born == 0) {
      run_init(users_, line.childs);
    }
    if (born < 0) {
      end_child(line.childs, fail_errno(errno, "clone").error());
    }
    tell_born(line.childs.get(), born, pidfd);
    ::_exit(0);
  };
  const auto pid = ::fork();
  if (pid == 0) {
    first();
  }
  if (pid < 0) {
    return fail_errno(errno, "fork");
  }
  line.childs.reset();
  auto started = hear_init(line.ours);
  ::waitpid(pid, nullptr, 0);
  return started;
}

Result<> Sandbox::hear_init(const Fd& line) {
  bool ready = false;
  while (!ready || init_pid_ < 0) {
    KEELSON_TRY(auto heard, read_child(line.get()));
    if (!heard) {
      continue;
    }
    switch (heard->what) {
      case ChildMessage::What::born:
        init_pid_ = heard->pid;
        init_pidfd_ = std::move(heard->descriptor);
        break;
      case ChildMessage::What::ready:
        ready = true;
        break;
      case ChildMessage::What::failed:
        return std::unexpected(std::move(heard->error));
      case ChildMessage::What::executed:
        return fail(Kind::internal, "it was killed while it was made");
    }
  }
  return {};
}

void Sandbox::close() {
  if (init_pid_ > 0) {
    ::kill(init_pid_, SIGKILL);
    ::waitpid(init_pid_, nullptr, 0);
    init_pid_ = -1;
  }
  if (std::exchange(shared_memory_, false)) {
    ::umount2(spec_.shm_dir.c_str(), MNT_DETACH);
  }
  if (std::exchange(pinned_, false)) {
    ::umount2(spec_.netns_pin.c_str(), MNT_DETACH);
    ::unlink(spec_.netns_pin.c_str());
  }
}

}  // namespace keelson::cri::shim
