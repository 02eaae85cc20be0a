// SPDX-License-Identifier: Apache-2.0
// What the shim's loop waits for.
#pragma once

#include <sys/epoll.h>

#include <vector>

#include "common/fd.h"

namespace keelson::cri::shim {

/// Whom an event concerns; the number behind it is the connection's, or else the descriptor's.
enum class Source : uint32_t { listener, signals, connection, channel, output };

/// epoll(7). A descriptor leaves by itself when its last copy closes.
class Poller {
 public:
  struct Ready {
    Source source;
    uint32_t number;
    bool readable;  ///< or at its end, or broken
    bool writable;
  };

  /// Kind::exhausted and the like: no descriptor is left.
  static Result<Poller> open();
  void watch(int fd, Source source, uint32_t number);
  /// Also tell when `fd`, watched already, can be written.
  void watch_room(int fd, Source source, uint32_t number, bool wanted);
  void forget(int fd);
  /// Blocks until something is ready.
  std::vector<Ready> wait();

 private:
  explicit Poller(Fd epoll) : epoll_(std::move(epoll)) {}
  Fd epoll_;
};

}  // namespace keelson::cri::shim
