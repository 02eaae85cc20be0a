// SPDX-License-Identifier: Apache-2.0
// Eviction thresholds in the kubelet's words ("memory.available<100Mi", "nodefs.available<10%"), and whether a machine
// is below them: what the node's pressure conditions say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/node/machine.h"
#include "common/clock.h"
#include "common/result.h"
#include "kube/quantity.h"

namespace keelson::agent {

enum class EvictionSignal {
  memory_available,         ///< "memory.available"
  nodefs_available,         ///< "nodefs.available": the file system of the state folder
  nodefs_inodes_free,       ///< "nodefs.inodesFree"
  imagefs_available,        ///< "imagefs.available": taken to be the same file system
  imagefs_inodes_free,      ///< "imagefs.inodesFree"
  containerfs_available,    ///< "containerfs.available": the same
  containerfs_inodes_free,  ///< "containerfs.inodesFree"
  pid_available,            ///< "pid.available"
};
std::string_view to_string(EvictionSignal signal);

/// Crossed when less than this is left: an amount, or a share of the whole.
struct EvictionThreshold {
  EvictionSignal signal = EvictionSignal::memory_available;
  kube::Quantity amount;
  std::optional<double> share;  ///< 0.1 for "10%"

  /// The amount, of a whole of `capacity`.
  int64_t value(int64_t capacity) const;
};

/// "15%" as 0.15, from 0 to 1. Kind::invalid.
Result<double> parse_share(std::string_view text);

/// Each "signal<value". Kind::invalid names the text. 0% and 100% mean none, as in the kubelet.
Result<std::vector<EvictionThreshold>> parse_thresholds(const std::vector<std::string>& texts);

/// KubeletConfiguration's evictionHard where none is given (Linux).
std::vector<std::string> default_eviction_hard();

struct Pressures {
  bool memory = false;
  bool disk = false;
  bool pid = false;
  bool operator==(const Pressures&) const = default;
};

/// Which thresholds the machine is below now. What could not be read presses nobody.
Pressures pressures(const std::vector<EvictionThreshold>& thresholds, const Machine& machine);

/// A pressure that has gone is still told for a while, so that it does not come and go
/// (evictionPressureTransitionPeriod).
class HeldPressures {
 public:
  explicit HeldPressures(Duration period) : period_(period) {}
  Pressures observe(const Pressures& now, SteadyTime when);

 private:
  bool held(bool now, SteadyTime when, std::optional<SteadyTime>& last) const;

  Duration period_;
  std::optional<SteadyTime> memory_, disk_, pid_;
};

}  // namespace keelson::agent
