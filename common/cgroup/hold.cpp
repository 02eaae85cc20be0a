// SPDX-License-Identifier: Apache-2.0
// hold.h.
#include "common/cgroup/hold.h"

#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace keelson::cgroup {

Result<Hold> Hold::start() {
  const auto parent = ::getpid();
  Hold hold;
  hold.pid_ = ::fork();
  if (hold.pid_ == 0) {  // among threads: only what is safe in a signal handler
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    ::prctl(PR_SET_NAME, "scope-hold", 0, 0, 0);
    ::close_range(0, ~0U, 0);
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    while (::getppid() == parent) {
      ::pause();
    }
    ::_exit(0);
  }
  if (hold.pid_ < 0) {
    hold.pid_ = 0;
    return fail_errno(errno, "fork");
  }
  return hold;
}

Hold::~Hold() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

}  // namespace keelson::cgroup
