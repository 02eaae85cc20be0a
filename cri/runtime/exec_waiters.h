// SPDX-License-Identifier: Apache-2.0
// Where an exec's exit finds the RPC that waits for it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>

#include "common/result.h"

namespace keelson::cri {

/// Thread-safe. expect() comes before the exec is asked for, so that an exit can never be too early.
class ExecWaiters {
 public:
  using Time = std::chrono::steady_clock::time_point;

  void expect(const std::string& sandbox_id, const std::string& exec_id);
  /// From the watcher.
  void exited(const std::string& exec_id, int exit_code);
  /// The sandbox's shim is gone: all its execs end with Kind::unavailable.
  void lost(const std::string& sandbox_id);
  /// The exit code; Kind::timeout after `deadline`. The exec stays expected until drop().
  Result<int> wait(const std::string& exec_id, Time deadline);
  void drop(const std::string& exec_id);

 private:
  enum class State { running, exited, lost };
  struct Exec {
    std::string sandbox_id;
    State state = State::running;
    int exit_code = 0;
  };
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Exec> execs_;
};

}  // namespace keelson::cri
