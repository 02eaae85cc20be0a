// SPDX-License-Identifier: Apache-2.0
// How long pods take from their creation until the API tells that their containers run: what Kubernetes' scalability
// goals speak of (kubelet pkg/kubelet/util pod_startup_latency_tracker).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "agent/timeline.h"
#include "common/clock.h"
#include "common/stats.h"
#include "kube/pod.h"

namespace keelson::agent {

/// From the first pull's begin to the last one's end.
Duration pull_time(const Timeline& timeline);

/// Belongs to the agent's loop.
class StartLatency {
 public:
  /// `pulling`: how long a pod has waited for its images.
  explicit StartLatency(std::function<Duration(const kube::Pod&)> pulling);

  /// The watch tells this pod, at this time. One that a node had begun with before we saw it is passed over.
  void seen(const kube::Pod& pod, WallTime now);
  /// By full name.
  void gone(const std::string& name) { pods_.erase(name); }

  /// kubelet_pod_start_sli_duration_seconds (without pulls), kubelet_pod_start_total_duration_seconds,
  /// kubelet_first_network_pod_start_sli_duration_seconds.
  void collect(Stats& stats) const;

 private:
  struct State {
    std::string uid;
    bool told = false;
  };

  const std::function<Duration(const kube::Pod&)> pulling_;
  std::map<std::string, State> pods_;  // that are, or were, to start; by full name
  Histogram sli_;
  Histogram total_;
  std::optional<double> first_;
};

}  // namespace keelson::agent
