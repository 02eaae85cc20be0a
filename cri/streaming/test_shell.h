// SPDX-License-Identifier: Apache-2.0
// A process for streaming tests.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "cri/streaming/server.h"

namespace keelson::cri {

/// A shell command as a session, the way the shim hands one out.
inline Result<StreamSession> run_shell(const std::string& command) {
  int in[2], out[2], err[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) {
    return fail_errno(errno, "pipe");
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(in[0], 0);
    ::dup2(out[1], 1);
    ::dup2(err[1], 2);
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  ::close(err[1]);
  StreamSession session{.in = Fd(in[1]), .out = Fd(out[0]), .err = Fd(err[0]), .resize = {}, .wait = {}, .hang_up = {}};
  session.wait = [child]() -> Result<int> {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  };
  session.hang_up = [child] { ::kill(child, SIGKILL); };
  return session;
}

}  // namespace keelson::cri
