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

#include "cri/shim/privileges.h"

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
  std::string path = "/proc/sys/" + sysctl.name;
  std::replace(path.begin() + 10, path.end(), '.', '/');
  if (path.find("/../") != std::string::npos) {
    return fail(Kind::invalid, "sysctl {} is no name", sysctl.name);
  }
  return write_value(path, sysctl.value).context("set sysctl {}", sysctl.name);
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
[[noreturn]] void run_init(const std::string& folder, int ready) {
  ProcessSpec nobody;
  nobody.no_new_privs = true;
  if (!enter_empty_root(folder) || !drop_privileges(nobody, User{.uid = kNobody, .gid = kNobody})) {
    ::_exit(1);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  ::prctl(PR_SET_NAME, "pod-init", 0, 0, 0);
  if (::write(ready, "1", 1) != 1) {
    ::_exit(1);
  }
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
  bool network = !spec.netns_pin.empty();
  int flags = (network ? CLONE_NEWNET : 0) | (spec.ipc == NamespaceMode::node ? 0 : CLONE_NEWIPC) |
              (network || !spec.hostname.empty() ? CLONE_NEWUTS : 0);
  if (flags != 0 && ::unshare(flags) < 0) {
    return fail_errno(errno, "make the sandbox's namespaces");
  }
  if (network) {
    KEELSON_DO(make_directories(spec.netns_pin.substr(0, spec.netns_pin.find_last_of('/'))));
    sandbox->pinned_ = true;  // from here on there may be a file, even if the mount then fails
    KEELSON_DO(pin_network(spec.netns_pin));
    KEELSON_DO(raise_loopback());
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

Result<> Sandbox::start_init() {
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) < 0) {
    return fail_errno(errno, "make a pipe");
  }
  Fd from(ready[0]);
  Fd to(ready[1]);
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_NEWPID | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  init_pid_ = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  if (init_pid_ == 0) {
    run_init(spec_.run_dir, to.get());
  }
  if (init_pid_ < 0) {
    return fail_errno(errno, "clone");
  }
  init_pidfd_ = Fd(pidfd);
  to.reset();
  char byte = 0;
  if (::read(from.get(), &byte, 1) != 1) {
    return fail(Kind::internal, "it could not leave the node's root and drop its rights");
  }
  return {};
}

void Sandbox::close() {
  if (init_pid_ > 0) {
    ::kill(init_pid_, SIGKILL);
    ::waitpid(init_pid_, nullptr, 0);
    init_pid_ = -1;
  }
  if (std::exchange(pinned_, false)) {
    ::umount2(spec_.netns_pin.c_str(), MNT_DETACH);
    ::unlink(spec_.netns_pin.c_str());
  }
}

}  // namespace keelson::cri::shim
