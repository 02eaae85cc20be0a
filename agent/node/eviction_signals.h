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
  allocatable_memory,       ///< "allocatableMemory.available": of what all pods may take; not configured, but derived
  nodefs_available,         ///< "nodefs.available": the file system of the state folder
  nodefs_inodes_free,       ///< "nodefs.inodesFree"
  imagefs_available,        ///< "imagefs.available": of the runtime's images
  imagefs_inodes_free,      ///< "imagefs.inodesFree"
  containerfs_available,    ///< "containerfs.available": of containers' writable layers; taken for imagefs
  containerfs_inodes_free,  ///< "containerfs.inodesFree"
  pid_available,            ///< "pid.available"
};
std::string_view to_string(EvictionSignal signal);

/// An amount, or a share of the whole.
struct EvictionAmount {
  kube::Quantity amount;
  std::optional<double> share;  ///< 0.1 for "10%"

  /// The amount, of a whole of `capacity`.
  int64_t value(int64_t capacity) const;
  bool operator==(const EvictionAmount&) const = default;
};

/// Crossed when less than this is left.
struct EvictionThreshold : EvictionAmount {
  EvictionSignal signal = EvictionSignal::memory_available;
  Duration grace{0};                              ///< Of a soft one: how long it is crossed before pods are evicted.
  std::optional<EvictionAmount> minimum_reclaim;  ///< Once pods are evicted, until so much more is left.

  bool hard() const { return grace == Duration(0); }
  bool operator==(const EvictionThreshold&) const = default;
};

/// "15%" as 0.15, from 0 to 1. Kind::invalid.
Result<double> parse_share(std::string_view text);

/// Each "signal<value". Kind::invalid names the text. 0% and 100% mean none, as in the kubelet.
Result<std::vector<EvictionThreshold>> parse_thresholds(const std::vector<std::string>& texts);

/// The settings of eviction, in the kubelet's flags' words.
struct EvictionTexts {
  std::vector<std::string> hard;             ///< evictionHard: "memory.available<100Mi"
  std::vector<std::string> soft;             ///< evictionSoft: the same
  std::vector<std::string> soft_grace;       ///< evictionSoftGracePeriod: "memory.available=1m30s", for each soft one
  std::vector<std::string> minimum_reclaim;  ///< evictionMinimumReclaim: "memory.available=0Mi"
};
/// Hard ones, then soft ones, with their minimum reclaims; and of hard ones of memory, one of what all pods may take,
/// as the kubelet. Kind::invalid names the setting and the text.
Result<std::vector<EvictionThreshold>> parse_eviction(const EvictionTexts& texts);

/// KubeletConfiguration's evictionHard where none is given (Linux).
std::vector<std::string> default_eviction_hard();

struct Pressures {
  bool memory = false;
  bool disk = false;
  bool pid = false;
  bool operator==(const Pressures&) const = default;
  Pressures& operator|=(const Pressures& more) {
    memory = memory || more.memory;
    disk = disk || more.disk;
    pid = pid || more.pid;
    return *this;
  }
};

/// Which thresholds the machine is below now; those of the runtime's disks it cannot tell. What could not be read
/// presses nobody.
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
