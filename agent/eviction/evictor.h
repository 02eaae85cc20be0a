// SPDX-License-Identifier: Apache-2.0
// Ends pods before the node itself runs short (kubelet pkg/kubelet/eviction), and those that write more than they may.
//
//   each 10 s: what is left --> ThresholdWatch --> pressures told; what is due
//     a pod over its own limits of storage: ended at once
//     due, of a disk: dead containers and unused images go; if that was enough, no pod does
//     due: the first of the ranking that may be evicted is; the next look once it has ended
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/eviction/ranking.h"
#include "agent/eviction/threshold_watch.h"
#include "agent/node/node_registrar.h"
#include "common/loop.h"
#include "common/stats.h"

namespace keelson::agent {

struct EvictionOptions {
  std::vector<EvictionThreshold> thresholds;
  Duration pressure_transition = std::chrono::minutes(5);
  std::chrono::seconds max_pod_grace{0};  ///< evictionMaxPodGracePeriod: of soft thresholds
  Duration interval = std::chrono::seconds(10);
  /// What presses the node, after each look that changed it; on the loop's thread.
  std::function<void(const Pressures&)> tell = [](const Pressures&) {};
  /// Events of the node.
  std::function<void(const NodeEvent&)> record = [](const NodeEvent&) {};
};

/// What an evictor sees of the node, and frees there. Calls end within some seconds; an error leaves this look out.
class EvictionSources {
 public:
  virtual ~EvictionSources() = default;
  /// What is left of the machine, and what all pods may take of it.
  virtual Task<Observations> observe() = 0;
  /// What each pod takes. `disks`: what it has written, too.
  virtual Task<metrics::NodeUse> measure(bool disks) = 0;
  /// Images that nobody uses.
  virtual Task<> free_images() = 0;
};

/// Belongs to the agent's loop. `agent` and `sources` outlive it.
class Evictor {
 public:
  Evictor(Loop& loop, Agent& agent, EvictionSources& sources, EvictionOptions options);

  /// Until it is cancelled.
  Task<> run();
  /// kubelet_evictions, kubelet_eviction_stats_age_seconds.
  void collect(Stats& stats) const;

 private:
  /// True if a pod was evicted: then the next look is soon.
  Task<bool> look();
  Task<bool> reclaim(const std::vector<EvictionThreshold>& due, const Observations& observations);
  /// Whether what can go without a pod was enough.
  Task<bool> free_node(EvictionSignal signal);
  std::vector<std::string> evict_over_limits(const std::vector<kube::Pod>& pods, const metrics::NodeUse& use);
  bool evict(const kube::Pod& pod, const std::string& signal, Verdict verdict, std::chrono::seconds grace);
  std::vector<kube::Pod> active_pods() const;
  Task<> wait_ended(std::vector<std::string> uids);

  Loop& loop_;
  Agent& agent_;
  EvictionSources& sources_;
  const EvictionOptions options_;
  ThresholdWatch watch_;
  Pressures told_;
  bool failing_ = false;
  SteadyTime observed_at_{};
  std::map<std::string, uint64_t> evictions_;  // by signal
  HistogramVec ages_{default_bounds()};        // of what was seen, when a pod was evicted for it
};

}  // namespace keelson::agent
