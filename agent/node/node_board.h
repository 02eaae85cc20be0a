// SPDX-License-Identifier: Apache-2.0
// What the agent writes of the node for the heartbeat to read, which runs on a thread of its own.
#pragma once

#include <atomic>

#include "agent/node/eviction_signals.h"

namespace keelson::agent {

/// Thread-safe.
class NodeBoard {
 public:
  void tell(const Pressures& now) { bits_ = (now.memory ? 1U : 0U) | (now.disk ? 2U : 0U) | (now.pid ? 4U : 0U); }
  Pressures told() const {
    const unsigned bits = bits_;
    return {.memory = (bits & 1U) != 0, .disk = (bits & 2U) != 0, .pid = (bits & 4U) != 0};
  }

 private:
  std::atomic<unsigned> bits_ = 0;
};

}  // namespace keelson::agent
