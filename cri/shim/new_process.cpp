// SPDX-License-Identifier: Apache-2.0
// new_process.h: streams, terminal, user, exec.
#include "cri/shim/new_process.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

#include <algorithm>
#include <csignal>

#include "cri/shim/child_channel.h"
#include "cri/shim/devices.h"
#include "cri/shim/mounts.h"
#include "cri/shim/privileges.h"
#include "cri/shim/user_lookup.h"

namespace keelson::cri::shim {

namespace {

/// Programs open /dev/stdout anew, which is a pipe's own file: it has to be theirs (as runc does).
void own_pipe(const Fd& stream, const User& user) {
  struct stat info{};
  if (::fstat(stream.get(), &info) == 0 && S_ISFIFO(info.st_mode) && info.st_uid != user.uid) {
    static_cast<void>(::fchown(stream.get(), user.uid, static_cast<gid_t>(-1)));  // what it has open works in any case
  }
}

Result<> use_streams(const ChildStdio& stdio, const User& user) {
  KEELSON_TRY(auto null, open_null(O_RDWR));
  const Fd* streams[3] = {&stdio.in, &stdio.out, &stdio.error};
  for (int i = 0; i < 3; ++i) {
    own_pipe(*streams[i], user);
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

/// Made if it is not there. No link of procfs is followed on the way: we may still do what the container may not, and
/// /proc/PID/root and /proc/PID/fd lead to where the other process is.
Result<> enter_folder(const std::string& path) {
  KEELSON_TRY(const auto root, open_file("/", O_PATH | O_DIRECTORY));
  KEELSON_TRY(const auto folder, open_target(root.get(), path, true).context("enter the working directory {}", path));
  if (::fchdir(folder.get()) < 0) {
    return fail_errno(errno, "enter the working directory {}", path);
  }
  return {};
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

Result<User> prepare(const NewProcess& wanted) {
  const auto& process = wanted.process;
  KEELSON_DO(set_labels(process, wanted.proc));
  KEELSON_TRY(auto user, find_user("", process.user));
  Fd terminal;
  if (process.tty) {
    KEELSON_TRY(terminal, use_terminal(user));
  } else {
    ::setsid();
    KEELSON_DO(use_streams(wanted.stdio, user));
  }
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // until exec: it is not yet what it will be
  // A process of the pod that may trace can take what is open here: the shim's sockets, the node's folders and /proc
  // are not. What is kept closes by exec.
  close_all_but({wanted.channel.get(), terminal.get()});
  if (terminal || wanted.wait) {
    tell_ready(wanted.channel.get(), terminal);
  }
  terminal.reset();
  char go = 0;
  if (wanted.wait && ::recv(wanted.channel.get(), &go, 1, 0) != 1) {
    ::_exit(0);  // removed before it was started, or the shim is gone
  }
  KEELSON_DO(enter_folder(process.cwd.empty() ? "/" : process.cwd));
  KEELSON_DO(drop_privileges(process, user));
  return user;
}

}  // namespace

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

Result<NodeProc> begin_container(const ContainerSpec& spec) {
  KEELSON_DO(join_cgroups(spec.cgroup_procs));
  if (spec.cgroup_namespace && ::unshare(CLONE_NEWCGROUP) < 0) {
    return fail_errno(errno, "make a cgroup namespace");
  }
  KEELSON_DO(set_oom_score(spec.oom_score_adj));
  ::umask(0022);
  return NodeProc::open();
}

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

void become(const NewProcess& wanted) {
  const auto user = prepare(wanted);
  if (!user) {
    end_child(wanted.channel, user.error());
  }
  // A change of user clears it, so here; and if the shim died in between, nobody will kill us.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  end_child(wanted.channel, execute(wanted.process, *user).error());
}

void end_child(const Fd& channel, const Error& error) {
  tell_failed(channel.get(), error);
  ::_exit(128);
}

}  // namespace keelson::cri::shim
