// SPDX-License-Identifier: Apache-2.0
// So many at once, and so many a second in the long run (client-go util/flowcontrol).
#pragma once

#include <algorithm>

#include "common/clock.h"

namespace keelson::agent {

/// Full at first.
class TokenBucket {
 public:
  TokenBucket(double per_second, double most) : per_second_(per_second), most_(most), left_(most) {}

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
                      : std::chrono::duration_cast<Duration>(std::chrono::duration<double>(-left_ / per_second_));
  }
  bool full(SteadyTime now) const { return filled(now) >= most_; }

 private:
  double filled(SteadyTime now) const {
    return since_ == SteadyTime()
               ? left_
               : std::min(most_, left_ + per_second_ * std::chrono::duration<double>(now - since_).count());
  }
  void fill(SteadyTime now) {
    left_ = filled(now);
    since_ = now;
  }

  double per_second_;
  double most_;
  double left_;
  SteadyTime since_{};
};

}  // namespace keelson::agent
