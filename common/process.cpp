// SPDX-License-Identifier: Apache-2.0
// posix_spawn(3), three pipes and a pidfd.
#include "common/process.h"

#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <utility>

#include "common/fd.h"
#include "common/pipe.h"

namespace keelson {

namespace {

std::vector<char*> c_strings(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const auto& string : strings) {
    out.push_back(const_cast<char*>(string.c_str()));
  }
  out.push_back(nullptr);
  return out;
}

Result<pid_t> spawn(const Command& command, int in, int out, int error) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out, 1);
  ::posix_spawn_file_actions_adddup2(&actions, error, 2);
  // Libraries open some without close-on-exec; a listening socket would outlive us in the child.
  ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);  // of its own
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  auto args = c_strings(command.args);
  auto env = c_strings(command.env);
  pid_t pid = -1;
  int failed = ::posix_spawn(&pid, command.args[0].c_str(), &actions, &attributes, args.data(), env.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    return fail_errno(failed, "run {}", command.args[0]);
  }
  return pid;
}

/// No SIGPIPE for this thread's writes while it lives: a program may end without reading its input.
class IgnoredSigpipe {
 public:
  IgnoredSigpipe() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~IgnoredSigpipe() {
    timespec now{};
    ::sigtimedwait(&pipe_, nullptr, &now);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  IgnoredSigpipe(const IgnoredSigpipe&) = delete;
  IgnoredSigpipe& operator=(const IgnoredSigpipe&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
};

/// Feeds and drains the pipes until both outputs end.
Result<> exchange(const Command& command, Fd& in, Fd& out, Fd& error, CommandOutput& output) {
  IgnoredSigpipe ignored;
  ::fcntl(in.get(), F_SETFL, O_NONBLOCK);
  std::string_view left = command.input;
  auto end = std::chrono::steady_clock::now() + command.deadline;
  std::array<char, 16384> data;
  while (out || error) {
    if (left.empty()) {
      in.reset();
    }
    std::array<pollfd, 3> fds = {{{in.get(), POLLOUT, 0}, {out.get(), POLLIN, 0}, {error.get(), POLLIN, 0}}};
    auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    if (rest <= 0 || (::poll(fds.data(), fds.size(), static_cast<int>(rest)) == 0)) {
      return fail(Kind::timeout, "{} did not end within {} ms", command.args[0], command.deadline.count());
    }
    if (fds[0].revents != 0) {
      ssize_t n = ::write(in.get(), left.data(), left.size());
      // A program that does not read its input is no error.
      left.remove_prefix(n > 0 ? static_cast<size_t>(n) : (errno == EAGAIN ? 0 : left.size()));
    }
    std::pair<Fd*, std::string*> sinks[2] = {{&out, &output.out}, {&error, &output.error}};
    for (size_t i = 0; i < 2; ++i) {
      if (fds[i + 1].revents == 0) {
        continue;
      }
      ssize_t n = ::read(sinks[i].first->get(), data.data(), data.size());
      if (n <= 0) {
        sinks[i].first->reset();
      } else if (sinks[i].second->size() + static_cast<size_t>(n) > command.max_output) {
        return fail(Kind::exhausted, "{} printed more than {} bytes", command.args[0], command.max_output);
      } else {
        sinks[i].second->append(data.data(), static_cast<size_t>(n));
      }
    }
  }
  return {};
}

}  // namespace

Result<CommandOutput> run_command(const Command& command) {
  KEELSON_TRY(auto in, make_pipe());
  KEELSON_TRY(auto out, make_pipe());
  KEELSON_TRY(auto error, make_pipe());
  KEELSON_TRY(auto pid, spawn(command, in.read.get(), out.write.get(), error.write.get()));
  in.read.reset();
  out.write.reset();
  error.write.reset();
  CommandOutput output;
  auto exchanged = exchange(command, in.write, out.read, error.read, output);
  if (!exchanged) {
    ::kill(-pid, SIGKILL);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!exchanged) {
    return std::unexpected(std::move(exchanged).error());
  }
  output.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return output;
}

}  // namespace keelson
