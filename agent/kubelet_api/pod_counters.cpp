// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/pod_counters.h"

#include "agent/worker_stats.h"

namespace keelson::agent {

namespace {

bool runs(const kube::Pod& pod) {
  return pod.status.phase && *pod.status.phase != kube::PodPhase::pending;
}

}  // namespace

PodCounters::PodCounters(const Clock& clock) : clock_(clock), start_(pod_start_bounds()) {}

void PodCounters::changed(const kube::Pod& pod, bool gone) {
  if (gone) {
    seen_.erase(pod.metadata.uid);
    return;
  }
  const auto [entry, fresh] = seen_.try_emplace(pod.metadata.uid);
  auto& seen = entry->second;
  if (fresh) {
    seen.first = clock_.steady();
    seen.running = runs(pod);
  }
  if (!seen.running && runs(pod)) {
    seen.running = true;
    start_.observe(std::chrono::duration<double>(clock_.steady() - seen.first).count());
  }
}

void PodCounters::collect(Stats& stats) const {
  stats.histogram("kubelet_pod_start_duration_seconds",
                  "[ALPHA] Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
                  start_);
}

}  // namespace keelson::agent
