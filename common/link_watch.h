// SPDX-License-Identifier: Apache-2.0
// Tells that links or addresses of a network namespace changed; what they are now is Netlink's to ask.
#pragma once

#include <memory>

#include "common/loop.h"
#include "common/result.h"

namespace keelson {

/// Of the network namespace in which it was opened. Belongs to one loop.
class LinkWatch {
 public:
  static Result<std::unique_ptr<LinkWatch>> open(Loop& loop);
  virtual ~LinkWatch() = default;
  /// Resumes after a change since the last call, or since open(). Several changes at once are one. Kind::cancelled.
  virtual Task<> next() = 0;
};

}  // namespace keelson
