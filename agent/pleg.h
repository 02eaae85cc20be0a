// SPDX-License-Identifier: Apache-2.0
// The agent's regular look at the runtime.
//
// Workers learn by events what changes, and look again by themselves; nothing here finds changes for them. But a loop
// that is stuck, or a connection on which nothing comes back, would go unseen: the heartbeat has its own. So what the
// kubelet tells of its pod lifecycle event generator (PLEG) is told of this look, which needs what pods need: the
// agent's loop, the agent's connection, an answer of the runtime's.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "agent/pod_runtime.h"
#include "common/loop.h"
#include "common/stats.h"

namespace keelson::agent {

struct PlegOptions {
  Duration period = std::chrono::seconds(10);
  /// A look that began at this time had its answer. On the loop's thread.
  std::function<void(SteadyTime)> seen = [](SteadyTime) {};
};

/// Belongs to the agent's loop. `runtime` is what pods are run by.
class Pleg {
 public:
  Pleg(Loop& loop, PodRuntime& runtime, PlegOptions options = {});

  /// Until it is cancelled. The first look is made at once.
  Task<> run();
  /// kubelet_pleg_relist_duration_seconds, kubelet_pleg_relist_interval_seconds, kubelet_pleg_last_seen_seconds.
  void collect(Stats& stats) const;

 private:
  Task<> look();

  Loop& loop_;
  PodRuntime& runtime_;
  const PlegOptions options_;
  Histogram durations_;
  Histogram intervals_;
  std::optional<SteadyTime> last_;     // that had its answer
  std::optional<WallTime> last_wall_;  // the same
};

}  // namespace keelson::agent
