// SPDX-License-Identifier: Apache-2.0
// What is counted of a node's pods of the API, under the kubelet's names.
#pragma once

#include <functional>
#include <string>

#include "agent/cluster/pod_ledger.h"
#include "agent/cluster/start_latency.h"
#include "common/stats.h"

namespace keelson::agent {

/// Belongs to the agent's loop.
class ClusterStats {
 public:
  /// `pulling` as StartLatency's.
  explicit ClusterStats(std::function<Duration(const kube::Pod&)> pulling) : starts(std::move(pulling)) {}

  StartLatency starts;
  /// A pod was refused for this reason.
  void rejected(const std::string& reason);
  /// A pod was ended for a critical one that lacked this resource.
  void preempted(const std::string& resource) { preemptions_.add({{"preemption_signal", resource}}); }

  void collect(const PodLedger& ledger, Stats& stats) const;

 private:
  CounterVec rejections_;
  CounterVec preemptions_;
};

}  // namespace keelson::agent
