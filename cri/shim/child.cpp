// SPDX-License-Identifier: Apache-2.0
// clone3(2), the steps inside the child, and the channel between.
#include "cri/shim/child.h"

#include <fmt/format.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <functional>

#include "cri/shim/child_channel.h"
#include "cri/shim/devices.h"
#include "cri/shim/node_proc.h"
#include "cri/shim/privileges.h"
#include "cri/shim/rootfs.h"
#include "cri/shim/user_lookup.h"

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

pid_t clone_process(uint64_t flags, const Fd& cgroup, Fd& pidfd) {
  int fd = -1;
  clone_args args{};
  args.flags = flags | CLONE_PIDFD | (cgroup ? CLONE_INTO_CGROUP : 0);
  args.pidfd = reinterpret_cast<uint64_t>(&fd);
  args.exit_signal = SIGCHLD;
  args.cgroup = cgroup ? static_cast<uint64_t>(cgroup.get()) : 0;
  auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  if (pid > 0) {
    pidfd = Fd(fd);
  }
  return pid;
}

void reset_signals() {
  for (int number = 1; number < NSIG; ++number) {
    ::signal(number, SIG_DFL);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

Result<> join_cgroups(const std::vector<std::string>& procs) {
  for (const auto& file : procs) {
    if (::access((file.substr(0, file.rfind('/')) + "/cgroup.controllers").c_str(), F_OK) == 0) {
      continue;  // v2: born into it
    }
    KEELSON_DO(write_value(file, "0").context("join the cgroup"));
  }
  return {};
}

Result<> use_streams(const ChildStdio& stdio) {
  KEELSON_TRY(auto null, open_null(O_RDWR));
  const Fd* streams[3] = {&stdio.in, &stdio.out, &stdio.error};
  for (int i = 0; i < 3; ++i) {
    if (::dup2(*streams[i] ? streams[i]->get() : null.get(), i) < 0) {
      return fail_errno(errno, "set standard stream {}", i);
    }
  }
  return {};
}

/// A terminal of the container's own devpts as our controlling one; the master is given back.
Result<Fd> use_terminal(const User& user) {
  KEELSON_TRY(auto master, open_terminal_master());
  int unlock = 0;
  if (::ioctl(master.get(), TIOCSPTLCK, &unlock) < 0) {
    return fail_errno(errno, "unlock the terminal");
  }
  Fd slave(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave) {
    return fail_errno(errno, "open the terminal");
  }
  if (::fchown(slave.get(), user.uid, static_cast<gid_t>(-1)) < 0) {
    return fail_errno(errno, "give the terminal to user {}", user.uid);
  }
  ::setsid();
  if (::ioctl(slave.get(), TIOCSCTTY, 0) < 0) {
    return fail_errno(errno, "take the terminal");
  }
  for (int i = 0; i < 3; ++i) {
    if (::dup2(slave.get(), i) < 0) {
      return fail_errno(errno, "set standard stream {}", i);
    }
  }
  return master;
}

Result<> enter_folder(const std::string& path) {
  if (::chdir(path.c_str()) == 0) {
    return {};
  }
  if (errno == ENOENT) {
    KEELSON_DO(make_directories(path));
    if (::chdir(path.c_str()) == 0) {
      return {};
    }
  }
  return fail_errno(errno, "enter the working directory {}", path);
}

std::vector<char*> c_strings(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (auto& string : strings) {
    out.push_back(string.data());
  }
  out.push_back(nullptr);
  return out;
}

std::string variable(const std::vector<std::string>& env, std::string_view name, std::string otherwise) {
  for (const auto& entry : env) {
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      otherwise = entry.substr(name.size() + 1);
    }
  }
  return otherwise;
}

/// execve by PATH of the *container's* environment. Returns only with the error.
std::unexpected<Error> execute(ProcessSpec process, const User& user) {
  if (process.args.empty()) {
    return fail(Kind::invalid, "no command: neither the container nor its image names one");
  }
  if (variable(process.env, "HOME", "").empty()) {
    process.env.push_back("HOME=" + user.home);
  }
  auto args = c_strings(process.args);
  auto env = c_strings(process.env);
  const std::string& name = process.args[0];
  int error = ENOENT;
  if (name.find('/') != std::string::npos) {
    ::execve(name.c_str(), args.data(), env.data());
    error = errno;
  } else {
    std::string path = variable(process.env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    for (size_t at = 0; at <= path.size();) {
      auto end = std::min(path.find(':', at), path.size());
      std::string candidate = (end == at ? "." : path.substr(at, end - at)) + "/" + name;
      ::execve(candidate.c_str(), args.data(), env.data());
      if (errno != ENOENT && errno != ENOTDIR) {
        error = errno;
      }
      at = end + 1;
    }
  }
  return fail_errno(error, "exec {}", name);
}

/// A process of the pod that may trace can take what is open here: the shim's sockets, the node's folders and /proc are
/// not. What is kept closes by exec.
void close_all_but(std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  int from = 3;
  for (const int fd : kept) {
    if (fd > from) {
      ::close_range(static_cast<unsigned>(from), static_cast<unsigned>(fd - 1), 0);
    }
    from = std::max(from, fd + 1);
  }
  ::close_range(static_cast<unsigned>(from), ~0U, 0);
}

/// What container and exec have in common, from inside the container's root to exec. Returns only on failure.
std::unexpected<Error> become(const ProcessSpec& process, const ChildStdio& stdio, const Fd& channel, bool wait,
                              const NodeProc& proc) {
  auto steps = [&]() -> Result<User> {
    KEELSON_DO(set_labels(process, proc));
    KEELSON_TRY(auto user, find_user("", process.user));
    KEELSON_DO(set_rlimits(process.rlimits));
    Fd terminal;
    if (process.tty) {
      KEELSON_TRY(terminal, use_terminal(user));
    } else {
      ::setsid();
      KEELSON_DO(use_streams(stdio));
    }
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // until exec: it is not yet what it will be
    close_all_but({channel.get(), terminal.get()});
    if (terminal || wait) {
      tell(channel.get(), {}, terminal);
    }
    terminal.reset();
    char go = 0;
    if (wait && ::recv(channel.get(), &go, 1, 0) != 1) {
      ::_exit(0);  // removed before it was started, or the shim is gone
    }
    KEELSON_DO(enter_folder(process.cwd.empty() ? "/" : process.cwd));
    KEELSON_DO(drop_privileges(process, user));
    return user;
  };
  auto user = steps();
  if (!user) {
    return std::unexpected(std::move(user).error());
  }
  // A change of user clears it, so here; and if the shim died in between, nobody will kill us.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  return execute(process, *user);
}

[[noreturn]] void end_child(const Fd& channel, const Error& error) {
  tell(channel.get(), std::unexpected(error), Fd());
  ::_exit(128);
}

[[noreturn]] void run_container(const ContainerSpec& spec, const ChildStdio& stdio, const Fd& channel) {
  reset_signals();
  auto prepare = [&]() -> Result<NodeProc> {
    KEELSON_DO(join_cgroups(spec.cgroup_procs));
    if (spec.cgroup_namespace && ::unshare(CLONE_NEWCGROUP) < 0) {
      return fail_errno(errno, "make a cgroup namespace");
    }
    KEELSON_DO(set_oom_score(spec.oom_score_adj));
    ::umask(0022);
    KEELSON_TRY(auto proc, NodeProc::open());
    KEELSON_DO(enter_rootfs(spec));
    return proc;
  };
  auto proc = prepare();
  if (!proc) {
    end_child(channel, proc.error());
  }
  end_child(channel, become(spec.process, stdio, channel, true, *proc).error());
}

/// What a first step hands on.
struct Ways {
  const Channel& channel;
  const Channel& report;
};

/// The first step of a process that others in its PID namespace can see: it runs outside of that, enters the cgroups
/// and the root by `prepare`, and leaves nothing of the node open. Only then is the process born that they see, and
/// that they could become by SYS_PTRACE (runc does the same, since CVE-2016-9962). It is the shim's child, not ours.
[[noreturn]] void bear(const ProcessSpec& process, const ChildStdio& stdio, bool wait, const Ways& ways,
                       const std::function<Result<NodeProc>()>& prepare) {
  reset_signals();
  auto proc = prepare();
  if (!proc) {
    end_child(ways.channel.childs, proc.error());
  }
  std::vector<int> kept = {ways.channel.childs.get(), ways.report.childs.get(), stdio.in.get(), stdio.out.get(),
                           stdio.error.get()};
  if (!process.apparmor_profile.empty() || !process.selinux_label.empty()) {
    kept.push_back(proc->fd());
  }
  close_all_but(std::move(kept));
  int born = -1;
  clone_args args{};
  args.flags = CLONE_PARENT | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&born);
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) {
    end_child(ways.channel.childs, become(process, stdio, ways.channel.childs, wait, *proc).error());
  }
  if (pid < 0) {
    end_child(ways.channel.childs, Error(Kind::internal, fmt::format("clone: {}", errno_text(errno))));
  }
  report_birth(ways.report.childs.get(), pid, Fd(born));
  ::_exit(0);
}

/// `first` becomes bear() in a child with `flags`; what that has born is returned.
Result<Child> clone_in_two_steps(uint64_t flags, const ContainerSpec& spec,
                                 const std::function<void(const Ways&)>& first) {
  KEELSON_TRY(auto channel, make_channel());
  KEELSON_TRY(auto report, make_channel());
  Fd pidfd;
  const auto pid = clone_process(flags, second_cgroup(spec.cgroup_procs), pidfd);
  if (pid == 0) {
    channel.ours.reset();
    report.ours.reset();
    first({channel, report});
  }
  if (pid < 0) {
    return fail_errno(errno, "clone a process for container {}", spec.id);
  }
  channel.childs.reset();
  report.childs.reset();
  ::fcntl(channel.ours.get(), F_SETFL, O_NONBLOCK);
  // A cgroup that is frozen would keep it for ever.
  const timeval limit{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(report.ours.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  auto born = read_birth(report.ours.get());
  if (!born) {
    ::kill(pid, SIGKILL);
    KEELSON_TRY(auto heard, read_child(channel.ours.get()));
    return std::unexpected(heard && heard->what == ChildMessage::What::failed
                               ? std::move(heard->error)
                               : Error(Kind::internal, "the new process was killed while it was made"));
  }
  return Child{.pid = born->pid, .pidfd = std::move(born->pidfd), .channel = std::move(channel.ours)};
}

/// Children are born into another PID namespace while one of these lives; ours comes back at the end.
class BirthPlace {
 public:
  static Result<BirthPlace> enter(int pidns) {
    BirthPlace place;
    if (pidns < 0) {
      return place;
    }
    KEELSON_TRY(place.ours_, open_file("/proc/self/ns/pid", O_RDONLY));
    if (::setns(pidns, CLONE_NEWPID) < 0) {
      return fail_errno(errno, "enter the PID namespace");
    }
    return place;
  }
  BirthPlace(BirthPlace&&) = default;
  BirthPlace& operator=(BirthPlace&&) = delete;
  ~BirthPlace() {
    if (ours_) {
      ::setns(ours_.get(), CLONE_NEWPID);
    }
  }

 private:
  BirthPlace() = default;
  Fd ours_;
};

}  // namespace

Result<Child> clone_container(const ContainerSpec& spec, ChildStdio stdio, int sandbox_pidns) {
  KEELSON_TRY(auto channel, make_channel());
  uint64_t flags = CLONE_NEWNS;
  int birth = -1;
  Fd target;
  if (spec.pid == NamespaceMode::container) {
    flags |= CLONE_NEWPID;
  } else if (spec.pid == NamespaceMode::pod) {
    birth = sandbox_pidns;
  } else if (spec.pid == NamespaceMode::target) {
    KEELSON_TRY(target, open_file(fmt::format("/proc/{}/ns/pid", spec.target_pid), O_RDONLY));
    birth = target.get();
  }
  KEELSON_TRY(auto place, BirthPlace::enter(birth));
  Child child;
  child.pid = clone_process(flags, second_cgroup(spec.cgroup_procs), child.pidfd);
  if (child.pid == 0) {
    channel.ours.reset();
    run_container(spec, stdio, channel.childs);
  }
  if (child.pid < 0) {
    return fail_errno(errno, "clone container {}", spec.id);
  }
  ::fcntl(channel.ours.get(), F_SETFL, O_NONBLOCK);
  child.channel = std::move(channel.ours);
  return child;
}

Result<Child> clone_exec(const ContainerSpec& spec, const ProcessSpec& process, ChildStdio stdio, int container_pidfd) {
  return clone_in_two_steps(0, spec, [&](const Ways& ways) {
    bear(process, stdio, false, ways, [&]() -> Result<NodeProc> {
      KEELSON_DO(join_cgroups(spec.cgroup_procs));
      KEELSON_DO(set_oom_score(spec.oom_score_adj));
      KEELSON_TRY(auto proc, NodeProc::open());
      if (::setns(container_pidfd, CLONE_NEWNS | (spec.cgroup_namespace ? CLONE_NEWCGROUP : 0) |
                                       (spec.pid == NamespaceMode::node ? 0 : CLONE_NEWPID)) < 0) {
        return fail_errno(errno, "enter the container");
      }
      ::umask(0022);
      return proc;
    });
  });
}

}  // namespace keelson::cri::shim
