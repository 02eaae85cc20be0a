// SPDX-License-Identifier: Apache-2.0
// What the shim's loop waits for.
#pragma once

#include <sys/epoll.h>

#include <utility>
#include <vector>

#include "common/fd.h"

namespace keelson::cri::shim {

/// Whom an event concerns; the number behind it is the connection's, or else the descriptor's.
enum class Source : uint32_t { listener, signals, connection, channel, output };

/// epoll(7). A descriptor would leave by itself only when its last copy closes, and children that have not reached
/// their exec hold copies of all: a broken connection would then be ready for ever. So whoever watches holds a Watch,
/// and lets it go before the descriptor.
class Poller {
 public:
  /// Ends the watching with itself; to be declared after the descriptor. The poller outlives it.
  class Watch {
   public:
    Watch() = default;
    Watch(Poller& poller, int fd) : poller_(&poller), fd_(fd) {}
    ~Watch();
    Watch(Watch&& other) noexcept : poller_(std::exchange(other.poller_, nullptr)), fd_(other.fd_) {}
    Watch& operator=(Watch&& other) noexcept {
      std::swap(poller_, other.poller_);
      std::swap(fd_, other.fd_);
      return *this;
    }
    void end() { Watch(std::move(*this)); }

   private:
    Poller* poller_ = nullptr;
    int fd_ = -1;
  };

  struct Ready {
    Source source;
    uint32_t number;
    bool readable;  ///< or at its end, or broken
    bool writable;
  };

  /// Kind::exhausted and the like: no descriptor is left.
  static Result<Poller> open();
  [[nodiscard]] Watch watch(int fd, Source source, uint32_t number);
  /// Also tell when `fd`, watched already, can be written.
  void watch_room(int fd, Source source, uint32_t number, bool wanted);
  /// Blocks until something is ready.
  std::vector<Ready> wait();

 private:
  explicit Poller(Fd epoll) : epoll_(std::move(epoll)) {}
  Fd epoll_;
};

}  // namespace keelson::cri::shim
