// SPDX-License-Identifier: Apache-2.0
// Ends a streaming connection that carries nothing for long: a client that fell asleep must not hold a process for
// ever.
#pragma once

#include "common/loop.h"

namespace keelson::cri {

/// Belongs to the loop's thread.
class IdleWatch {
 public:
  IdleWatch(Loop& loop, Duration limit) : loop_(loop), limit_(limit), last_(loop.clock().steady()) {}

  /// Something was read or written.
  void touch() { last_ = loop_.clock().steady(); }

  /// Kind::timeout once nothing has been touched for the limit.
  Task<> expire() {
    while (true) {
      const auto left = last_ + limit_ - loop_.clock().steady();
      if (left <= Duration::zero()) {
        co_return fail(Kind::timeout, "nothing was sent for {} s", limit_ / std::chrono::seconds(1));
      }
      KEELSON_CO_DO(co_await loop_.sleep(left));
    }
  }

 private:
  Loop& loop_;
  const Duration limit_;
  SteadyTime last_;
};

}  // namespace keelson::cri
