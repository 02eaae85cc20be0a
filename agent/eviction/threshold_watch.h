// SPDX-License-Identifier: Apache-2.0
// Which eviction thresholds are crossed, for how long, and what the node says of it
// (kubelet pkg/kubelet/eviction, synchronize). No I/O, no clock.
#pragma once

#include <map>
#include <vector>

#include "agent/node/eviction_signals.h"
#include "common/clock.h"

namespace keelson::agent {

/// What is left of what there is: bytes, inodes or processes.
struct Observation {
  int64_t available = 0;
  int64_t capacity = 0;
  bool operator==(const Observation&) const = default;
};
/// A signal that could not be read is missing, and presses nobody.
using Observations = std::map<EvictionSignal, Observation>;

/// Thresholds below which the node is now, in their order. `reclaim`: or not yet above by their minimum reclaim.
std::vector<EvictionThreshold> crossed(const std::vector<EvictionThreshold>& thresholds,
                                       const Observations& observations, bool reclaim);

/// "memory", "ephemeral-storage", "inodes" or "pids": what a signal is about, as events and messages name it.
std::string_view resource_of(EvictionSignal signal);
/// What is left is on a disk, so that images and dead containers may be in the way.
bool is_of_disk(EvictionSignal signal);

class ThresholdWatch {
 public:
  /// `transition`: how long a pressure is told after it has gone.
  ThresholdWatch(std::vector<EvictionThreshold> thresholds, Duration transition);

  struct View {
    Pressures pressures;
    std::vector<EvictionThreshold> due;  ///< Crossed for their whole grace: memory's first. Pods are to go.
  };
  /// What a look at `now` means. One that was due stays so until its minimum reclaim is reached.
  View observe(const Observations& observations, SteadyTime now);

  const std::vector<EvictionThreshold>& thresholds() const { return thresholds_; }

 private:
  struct Since {
    EvictionThreshold threshold;
    SteadyTime when;
  };

  const std::vector<EvictionThreshold> thresholds_;
  HeldPressures held_;
  std::vector<Since> since_;            // crossed, or being reclaimed
  std::vector<EvictionThreshold> due_;  // at the last look
};

}  // namespace keelson::agent
