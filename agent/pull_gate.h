// SPDX-License-Identifier: Apache-2.0
// How many images are pulled at a time, and how many pulls may begin each second (kubelet pkg/kubelet/images:
// serializeImagePulls, maxParallelImagePulls, registryPullQPS, registryBurst).
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "common/loop.h"
#include "common/token_bucket.h"

namespace keelson::agent {

struct PullLimits {
  size_t at_once = 0;                                 ///< 0: as many as are asked for.
  RateLimit begins = {.per_second = 0, .burst = 10};  ///< per_second 0: no such limit.
};

/// Belongs to a loop.
class PullGate {
 public:
  /// A place among those who pull; it is free again when this goes.
  class Place {
   public:
    Place(PullGate* gate, Duration waited) : gate_(gate), waited_(waited) {}
    Place(Place&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)), waited_(other.waited_) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (gate_ != nullptr) {
        gate_->leave();
      }
    }

    /// How long it was waited for.
    Duration waited() const { return waited_; }

   private:
    PullGate* gate_;
    Duration waited_;
  };

  PullGate(Loop& loop, PullLimits limits);

  /// Waits for its turn, first come first served. Kind::exhausted: "pull QPS exceeded", as the kubelet refuses.
  Task<Place> enter();

 private:
  struct Waiting {
    explicit Waiting(Loop& loop) : turn(loop.io(), asio::steady_timer::time_point::max()) {}
    asio::steady_timer turn;  // cancelled when it comes
    bool come = false;
  };
  void leave();

  Loop& loop_;
  const PullLimits limits_;
  std::optional<TokenBucket> begins_;
  size_t inside_ = 0;
  std::deque<std::shared_ptr<Waiting>> queue_;
};

}  // namespace keelson::agent
