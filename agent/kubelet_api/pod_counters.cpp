// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/pod_counters.h"

#include <algorithm>

namespace keelson::agent {

namespace {

/// The kubelet's, in seconds.
std::vector<double> start_bounds() {
  return {0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600};
}

bool runs(const kube::Pod& pod) {
  return pod.status.phase && *pod.status.phase != kube::PodPhase::pending;
}

}  // namespace

PodCounters::PodCounters(const Clock& clock) : clock_(clock), start_(start_bounds()) {}

void PodCounters::count_containers(const kube::Pod& pod, Seen& seen) {
  for (const auto* list : {&pod.status.init_container_statuses, &pod.status.container_statuses}) {
    for (const auto& container : *list) {
      if (container.container_id.empty()) {
        continue;
      }
      // Each instance is one more than restarts before it.
      const auto [known, fresh] = seen.restarts.try_emplace(container.name, container.restart_count);
      started_containers_ += fresh ? 1 : static_cast<uint64_t>(std::max(container.restart_count - known->second, 0));
      known->second = std::max(known->second, container.restart_count);
    }
  }
}

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
    if (seen.running) {
      for (const auto* list : {&pod.status.init_container_statuses, &pod.status.container_statuses}) {
        for (const auto& container : *list) {
          seen.restarts[container.name] = container.restart_count;
        }
      }
    } else {
      ++started_pods_;
    }
  }
  count_containers(pod, seen);
  if (!seen.running && runs(pod)) {
    seen.running = true;
    start_.observe(std::chrono::duration<double>(clock_.steady() - seen.first).count());
  }
}

void PodCounters::collect(Stats& stats) const {
  stats.histogram("kubelet_pod_start_duration_seconds",
                  "[ALPHA] Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
                  start_);
  stats.counter("kubelet_started_pods_total", "[ALPHA] Cumulative number of pods started",
                static_cast<double>(started_pods_));
  stats.counter("kubelet_started_containers_total", "[ALPHA] Cumulative number of containers started",
                static_cast<double>(started_containers_), {{"container_type", "container"}});
}

}  // namespace keelson::agent
