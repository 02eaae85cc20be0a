// SPDX-License-Identifier: Apache-2.0
// A process that keeps a cgroup from being empty.
#pragma once

#include <sys/types.h>

#include <utility>

#include "common/result.h"

namespace keelson::cgroup {

/// systemd makes a scope around a process, and takes it away with the last one: a Hold is the first of them, until one
/// of those that it is for has joined. It does nothing, has no descriptor open, and dies with this object and with the
/// thread that made it. Empty where nothing needs to be held.
class Hold {
 public:
  Hold() = default;
  static Result<Hold> start();
  Hold(Hold&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Hold& operator=(Hold&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~Hold();

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

}  // namespace keelson::cgroup
