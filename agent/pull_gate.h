// SPDX-License-Identifier: Apache-2.0
// How many images are pulled at a time, how many pulls may begin each second (kubelet pkg/kubelet/images:
// serializeImagePulls, maxParallelImagePulls, registryPullQPS, registryBurst), and who shares one.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/pod_runtime.h"
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

  /// Waits for a turn, pulls in it, and fills in PulledImage::waited. Whoever comes with the same `key` meanwhile takes
  /// no turn and pulls nothing, but gets the answer of that one, be it an error; if that one is cancelled, another of
  /// them pulls. `key`: all that the outcome depends on.
  Task<PulledImage> pull(std::string key, std::function<Task<PulledImage>()> work);

 private:
  struct Flight {
    explicit Flight(Loop& loop) : landed(loop.io(), asio::steady_timer::time_point::max()) {}
    asio::steady_timer landed;  // cancelled when it has
    bool over = false;
    SteadyTime begun{};                         // once it was its turn
    std::optional<Result<PulledImage>> answer;  // none: it was cancelled
  };
  class Landing;
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
  std::map<std::string, std::shared_ptr<Flight>> flights_;  // by key
};

}  // namespace keelson::agent
