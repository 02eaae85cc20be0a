// SPDX-License-Identifier: Apache-2.0
// The cgroups of pods, above the runtime's containers: <root>/kubepods[/burstable|/besteffort]/pod<uid>, or the slices
// that systemd makes of these names.
#pragma once

#include <mutex>
#include <string>

#include "agent/config/resources.h"
#include "agent/pod_configs.h"
#include "common/cgroup/tree.h"
#include "common/result.h"
#include "common/stats.h"

namespace keelson::agent {

/// Thread-safe. What the node has no controller for is not limited.
class PodCgroups {
 public:
  /// Of this node, below `root` ("/" or "/name"). Where nothing is mounted, nothing is done; where systemd is to be
  /// asked and is not there, every call is Kind::unavailable.
  PodCgroups(cgroup::Driver driver, std::string root);

  /// Makes the root and the cgroups of the QoS classes below, which stay as long as the node (kubelet's, as well).
  Result<> create_root() const;
  /// What all pods together may use; again when it was refused. Kind::conflict: they use more memory now (cgroup v1).
  Result<> limit_all(const cgroup::Limits& limits) const;
  /// The same of a cgroup of somebody else's: the path, or with systemd the slice's or its name. Kind::not_found: there
  /// is none.
  Result<> limit_other(const std::string& name, const cgroup::Limits& limits) const;
  /// Makes the pod's with its parents, and sets the limits. Idempotent.
  Result<> create(const kube::Pod& pod, const PodCgroupLimits& limits) const;
  /// Gives the pod other limits; before those of its containers change only if it gets more memory.
  /// Kind::conflict: it uses more memory than it is to have.
  Result<> resize(const kube::Pod& pod, const PodCgroupLimits& limits, Resizing when) const;
  /// What all Burstable pods weigh together (kubelet: the sum of their requests); BestEffort ones have the least there
  /// is. Where there is no such cgroup, nothing is done.
  Result<> set_burstable(int64_t cpu_shares) const;
  /// Removes the pod's cgroup and what is left below, whatever its class is; processes in it are killed. Absent is
  /// success.
  Result<> remove(const std::string& uid) const;
  /// Removes the root with kubepods below if no pod is left in it.
  void remove_root() const;

  /// kubelet_cgroup_manager_duration_seconds: of making, changing and removing them.
  void collect(Stats& stats) const;

  /// What the runtime is told: the path, or the slice's name.
  std::string parent_of(const kube::Pod& pod) const;

 private:
  class Timed;
  Result<> set(const kube::Pod& pod, const PodCgroupLimits& limits) const;
  std::string path(std::initializer_list<std::string_view> below) const;

  cgroup::Driver driver_;
  std::string root_;
  Result<cgroup::Tree> tree_;
  mutable std::mutex mutex_;
  mutable HistogramVec durations_{default_bounds()};
};

}  // namespace keelson::agent
