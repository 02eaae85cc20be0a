// SPDX-License-Identifier: Apache-2.0
// Logs of containers that run are kept small, whichever runtime writes them (kubelet containerLogMaxSize and its
// kin). What a full disk of logs would cost is the node: pods would be evicted for what one of them says.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/loop.h"
#include "cri/client/client.h"

namespace keelson::agent {

/// KubeletConfiguration's, with its defaults.
struct LogRotation {
  int64_t max_bytes = 10 << 20;                  ///< containerLogMaxSize: so large, a log is rotated; below 0: none is
  int max_files = 5;                             ///< containerLogMaxFiles: of one log, itself among them; 2 at least
  int workers = 1;                               ///< containerLogMaxWorkers: so many are looked after at once
  Duration interval = std::chrono::seconds(10);  ///< containerLogMonitorInterval
};

/// Belongs to one loop; files are moved and compressed on threads of its own. `runtime` outlives it.
class LogRotator {
 public:
  LogRotator(Loop& loop, cri::RuntimeClient& runtime, LogRotation rotation);

  /// Looks each interval, until it is cancelled. A log that cannot be rotated is told of once, and tried again.
  Task<> run();
  /// Once, at all containers that run.
  Task<> look();

 private:
  struct Log {
    std::string container;  // its id
    std::string path;
  };
  Task<std::vector<Log>> logs_of_running();
  Task<> work(std::vector<Log>* left);
  Task<> look_at(Log log);
  Task<> rotate(Log log);
  void tell(const Log& log, const Result<>& done);

  Loop& loop_;
  cri::RuntimeClient& runtime_;
  const LogRotation rotation_;
  std::map<std::string, std::string> paths_;     // of what runs, by id: they never change
  std::map<std::string, std::string> troubles_;  // told of, by path
  bool away_ = false;                            // the runtime, and that was told
  asio::thread_pool disk_;
};

}  // namespace keelson::agent
