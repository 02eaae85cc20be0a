// SPDX-License-Identifier: Apache-2.0
// The cgroups of pods, above the runtime's containers: <root>/kubepods[/burstable|/besteffort]/pod<uid> (cgroupfs
// driver).
#pragma once

#include <string>

#include "agent/config/resources.h"
#include "common/cgroup/tree.h"
#include "common/result.h"

namespace keelson::agent {

/// Thread-safe. What the node has no controller for is not limited.
class PodCgroups {
 public:
  /// Of this node; where nothing is mounted, nothing is done.
  PodCgroups();

  /// Makes `root` and the cgroups of the QoS classes below, which stay as long as the node (kubelet's, as well).
  Result<> create_root(const std::string& root) const;
  /// Makes `path` (see pod_cgroup()) with its parents, and sets the limits. Idempotent.
  Result<> create(const std::string& path, const PodLimits& limits) const;
  /// What all Burstable pods weigh together (kubelet: the sum of their requests); BestEffort ones have the least there
  /// is.
  Result<> set_burstable(const std::string& root, int64_t cpu_shares) const;
  /// Removes the pod's cgroup and what is left below; processes in it are killed. Absent is success.
  Result<> remove(const std::string& path) const;
  /// Removes `root` with kubepods below if no pod is left in it.
  void remove_root(const std::string& root) const;

 private:
  Result<> set_shares(const std::string& path, int64_t shares) const;

  cgroup::Tree tree_;
};

}  // namespace keelson::agent
