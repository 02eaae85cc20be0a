// SPDX-License-Identifier: Apache-2.0
// So many at once, and so many a second in the long run (client-go util/flowcontrol).
#pragma once

#include <algorithm>

#include "common/clock.h"

namespace keelson {

struct RateLimit {
  double per_second = 0;  ///< In the long run.
  double burst = 0;       ///< At once.
};

/// Full at first. Belongs to one thread.
class TokenBucket {
 public:
  explicit TokenBucket(RateLimit limit) : limit_(limit), left_(limit.burst) {}

  /// False: there is none now.
  bool take(SteadyTime now) {
    fill(now);
    if (left_ < 1) {
      return false;
    }
    left_ -= 1;
    return true;
  }
  /// Takes one that may be still to come; it may be used after this.
  Duration reserve(SteadyTime now) {
    fill(now);
    left_ -= 1;
    return left_ >= 0 ? Duration(0)
                      : std::chrono::duration_cast<Duration>(std::chrono::duration<double>(-left_ / limit_.per_second));
  }
  bool full(SteadyTime now) const { return filled(now) >= limit_.burst; }

 private:
  double filled(SteadyTime now) const {
    return since_ == SteadyTime()
               ? left_
               : std::min(limit_.burst,
                          left_ + limit_.per_second * std::chrono::duration<double>(now - since_).count());
  }
  void fill(SteadyTime now) {
    left_ = filled(now);
    since_ = now;
  }

  RateLimit limit_;
  double left_;
  SteadyTime since_{};
};

}  // namespace keelson
