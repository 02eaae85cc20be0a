// SPDX-License-Identifier: Apache-2.0
// exec_waiters.h.
#include "cri/runtime/exec_waiters.h"

namespace keelson::cri {

void ExecWaiters::expect(const std::string& sandbox_id, const std::string& exec_id) {
  const std::scoped_lock lock(mutex_);
  execs_[exec_id] = {.sandbox_id = sandbox_id};
}

void ExecWaiters::exited(const std::string& exec_id, int exit_code) {
  const std::scoped_lock lock(mutex_);
  if (const auto found = execs_.find(exec_id); found != execs_.end()) {
    found->second.state = State::exited;
    found->second.exit_code = exit_code;
    changed_.notify_all();
  }
}

void ExecWaiters::lost(const std::string& sandbox_id) {
  const std::scoped_lock lock(mutex_);
  for (auto& [id, exec] : execs_) {
    if (exec.sandbox_id == sandbox_id && exec.state == State::running) {
      exec.state = State::lost;
    }
  }
  changed_.notify_all();
}

Result<int> ExecWaiters::wait(const std::string& exec_id, Time deadline) {
  std::unique_lock lock(mutex_);
  const auto done = [&] {
    const auto found = execs_.find(exec_id);
    return found == execs_.end() || found->second.state != State::running;
  };
  if (!changed_.wait_until(lock, deadline, done)) {
    return fail(Kind::timeout, "exec {} still runs", exec_id);
  }
  const auto found = execs_.find(exec_id);
  if (found == execs_.end() || found->second.state == State::lost) {
    return fail(Kind::unavailable, "exec {}: its sandbox's shim is gone", exec_id);
  }
  return found->second.exit_code;
}

void ExecWaiters::drop(const std::string& exec_id) {
  const std::scoped_lock lock(mutex_);
  execs_.erase(exec_id);
  changed_.notify_all();
}

}  // namespace keelson::cri
