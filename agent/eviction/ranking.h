// SPDX-License-Identifier: Apache-2.0
// Which pod is evicted first, and what is said of it (kubelet pkg/kubelet/eviction/helpers.go). Pure.
#pragma once

#include <string>
#include <vector>

#include "agent/eviction/threshold_watch.h"
#include "kube/pod.h"
#include "metrics/node_use.h"

namespace keelson::agent {

/// A pod that has not ended, and what it takes; nullptr: that is not known.
struct Candidate {
  const kube::Pod* pod = nullptr;
  const metrics::PodUse* use = nullptr;
};

/// The first is to go first: whoever is not known, then whoever takes more than it requests, then the lower priority,
/// then whoever takes most beyond its request. Of processes: priority, then their number. `images_apart`: images and
/// writable layers are on a disk of their own, so that each disk counts what is on it alone.
void rank(std::vector<Candidate>& candidates, EvictionSignal signal, bool images_apart);

/// "The node was low on resource: memory. Threshold quantity: 100Mi, available: 52Mi. Container a was using ..." Of
/// `due`, the first threshold of the resource is told.
std::string eviction_message(EvictionSignal signal, const Candidate& candidate,
                             const std::vector<EvictionThreshold>& due, const Observations& observations);

/// A pod that has more on the node's disks than it may, by its own limits.
struct Exceeded {
  std::string signal;   ///< For the metric: "emptydirfs.limit", "ephemeralpodfs.limit", "ephemeralcontainerfs.limit"
  std::string message;  ///< Usage of EmptyDir volume "x" exceeds the limit "1Mi".
};
std::optional<Exceeded> exceeded_storage(const Candidate& candidate, bool images_apart);
/// Whether the pod has any such limit: what it writes is to be watched.
bool limits_storage(const kube::Pod& pod);

}  // namespace keelson::agent
