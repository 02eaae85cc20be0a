// SPDX-License-Identifier: Apache-2.0
// How long to wait after a failure, so that a thousand nodes do not come back at the same instant.
#pragma once

#include <chrono>
#include <random>

#include "common/clock.h"

namespace keelson::kube {

/// 0.8 s, doubled each time up to 30 s, each stretched by up to as much again at random; from the beginning once
/// nothing has failed for 2 minutes. The figures of client-go's reflector (tools/cache/reflector.go).
class Backoff {
 public:
  explicit Backoff(uint64_t seed) : random_(seed) {}

  /// The wait after a failure now.
  Duration next(SteadyTime now) {
    if (now - last_ > kForget) {
      base_ = kFirst;
    }
    last_ = now;
    const Duration base = base_;
    base_ = std::min<Duration>(base_ * 2, kMost);
    return base + Duration(std::uniform_int_distribution<Duration::rep>(0, base.count())(random_));
  }

 private:
  static constexpr std::chrono::milliseconds kFirst{800};
  static constexpr std::chrono::seconds kMost{30};
  static constexpr std::chrono::minutes kForget{2};

  std::mt19937_64 random_;
  Duration base_ = kFirst;
  SteadyTime last_{};
};

}  // namespace keelson::kube
