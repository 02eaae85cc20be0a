// SPDX-License-Identifier: Apache-2.0
// Sockets of another cgroup: a socket belongs for ever to the cgroup of the process that made it.
#pragma once

#include <sys/types.h>

#include <mutex>
#include <string>

#include "common/fd.h"

namespace keelson::services {

/// A process in a cgroup that makes sockets for this one. Made while this process has one thread.
class SocketMaker {
 public:
  /// `cgroup`: a folder, made here and removed at the end.
  explicit SocketMaker(std::string cgroup);
  ~SocketMaker();

  /// socket(2) in the network namespace at that path; non-blocking, close-on-exec. Any thread.
  Fd make(const std::string& netns, int family, int type, int protocol = 0);
  const std::string& cgroup() const { return cgroup_; }

 private:
  std::string cgroup_;
  std::mutex mutex_;
  Fd channel_;
  pid_t child_ = -1;
};

}  // namespace keelson::services
