// SPDX-License-Identifier: Apache-2.0
// Hears what the shims tell: one thread for all of them, so that a hundred pods cost one stack.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "common/fd.h"
#include "common/result.h"
#include "cri/shim/client.h"

namespace keelson::cri {

/// Owns the thread "kl-shims" and one subscribed connection a sandbox.
class ShimWatcher {
 public:
  struct Listener {
    /// A container's first process, or an exec, has ended.
    std::function<void(const std::string& sandbox_id, const shim::ProcessStatus&)> exited;
    /// The connection broke: the shim is dead. No more is heard of the sandbox.
    std::function<void(const std::string& sandbox_id)> lost;
  };

  /// The listener is called on the watcher's thread; it must not block for long, and may call forget().
  static Result<std::unique_ptr<ShimWatcher>> start(Listener listener);
  ~ShimWatcher();

  /// Subscribes on `connection` and hears from then on. Thread-safe.
  Result<> watch(const std::string& sandbox_id, std::unique_ptr<shim::ShimClient> connection);
  /// Hears no more; without a call of lost(). Thread-safe.
  void forget(const std::string& sandbox_id);

 private:
  ShimWatcher(Listener listener, Fd epoll, Fd wake);
  void run();
  void serve(int fd);

  struct Line {
    std::string sandbox_id;
    std::unique_ptr<shim::ShimClient> connection;
  };
  const Listener listener_;
  const Fd epoll_;
  const Fd wake_;
  std::mutex mutex_;
  std::map<int, std::shared_ptr<Line>> lines_;
  std::jthread thread_;
};

}  // namespace keelson::cri
