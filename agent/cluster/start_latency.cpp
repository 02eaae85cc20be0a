// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/start_latency.h"

#include <algorithm>

#include "agent/worker_stats.h"

namespace keelson::agent {

namespace {

bool all_run(const kube::Pod& pod) {
  const auto& statuses = pod.status.container_statuses;
  return !statuses.empty() && std::ranges::all_of(statuses, [](const auto& status) {
    return status.state.running && status.state.running->started_at;
  });
}

}  // namespace

Duration pull_time(const Timeline& timeline) {
  std::optional<Duration> first;
  Duration last{0};
  for (const auto& span : timeline.spans()) {
    if (span.name == "pull") {
      first = first.value_or(span.start);
      last = span.start + span.length;
    }
  }
  return first ? last - *first : Duration(0);
}

StartLatency::StartLatency(std::function<Duration(const kube::Pod&)> pulling)
    : pulling_(std::move(pulling)), sli_(pod_start_bounds()), total_(pod_start_bounds()) {}

void StartLatency::seen(const kube::Pod& pod, WallTime now) {
  const auto name = kube::full_name(pod.metadata);
  if (is_final(pod.status.phase)) {
    gone(name);
    return;
  }
  auto known = pods_.find(name);
  if (known == pods_.end() || known->second.uid != pod.metadata.uid) {
    gone(name);
    if (!pod.status.start_time) {
      pods_[name] = {.uid = pod.metadata.uid};
    }
    return;
  }
  if (known->second.told || !pod.metadata.creation_timestamp || !all_run(pod)) {
    return;
  }
  known->second.told = true;
  const Duration past = now - *pod.metadata.creation_timestamp;
  const double total = std::chrono::duration<double>(past).count();
  const double without_pulls = std::chrono::duration<double>(past - pulling_(pod)).count();
  total_.observe(total);
  sli_.observe(without_pulls);
  if (!first_ && !pod.spec.host_network) {
    first_ = without_pulls;
  }
}

void StartLatency::collect(Stats& stats) const {
  stats.histogram(
      "kubelet_pod_start_sli_duration_seconds",
      "[ALPHA] Duration in seconds to start a pod, excluding time to pull images and run init containers, "
      "measured from pod creation timestamp to when all its containers are reported as started and observed "
      "via watch",
      sli_);
  stats.histogram("kubelet_pod_start_total_duration_seconds",
                  "[ALPHA] Duration in seconds to start a pod since creation, including time to pull images and run "
                  "init containers, measured from pod creation timestamp to when all its containers are reported as "
                  "started and observed via watch",
                  total_);
  if (first_) {
    stats.gauge("kubelet_first_network_pod_start_sli_duration_seconds",
                "[INTERNAL] Duration in seconds to start the first network pod, excluding time to pull images and run "
                "init containers, measured from pod creation timestamp to when all its containers are reported as "
                "started and observed via watch",
                *first_);
  }
}

}  // namespace keelson::agent
