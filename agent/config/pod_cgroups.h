// SPDX-License-Identifier: Apache-2.0
// The cgroups of pods, above the runtime's containers: <root>/kubepods[/burstable|/besteffort]/pod<uid> (cgroupfs
// driver).
#pragma once

#include <string>
#include <vector>

#include "agent/config/resources.h"
#include "common/result.h"

namespace keelson::agent {

/// Thread-compatible. v1 and hybrid (every controller its own tree) and v2.
class PodCgroups {
 public:
  /// `mount` is where cgroupfs is, "/sys/fs/cgroup".
  explicit PodCgroups(std::string mount = "/sys/fs/cgroup");

  /// Makes `root` and the cgroups of the QoS classes below, which stay as long as the node (kubelet's, as well).
  Result<> create_root(const std::string& root) const;
  /// Makes `path` (see pod_cgroup()) with its parents, and sets the limits. Idempotent.
  Result<> create(const std::string& path, const PodLimits& limits) const;
  /// What all Burstable pods weigh together (kubelet: the sum of their requests); BestEffort ones have the least there
  /// is. Where there is no such cgroup, nothing is done.
  Result<> set_burstable(const std::string& root, int64_t cpu_shares) const;
  /// Removes the pod's cgroup and what is left below; processes in it are killed. Absent is success.
  Result<> remove(const std::string& path) const;
  /// Removes `root` with kubepods below if no pod is left in it.
  void remove_root(const std::string& root) const;

 private:
  Result<> make(const std::string& path) const;
  Result<> set_shares(const std::string& path, int64_t shares) const;

  std::string mount_;
  bool unified_;
  std::vector<std::string> trees_;  // the folders of all hierarchies
};

}  // namespace keelson::agent
