// SPDX-License-Identifier: Apache-2.0
#include "agent/eviction/threshold_watch.h"

#include <algorithm>

namespace keelson::agent {

namespace {

bool is_of_memory(EvictionSignal signal) {
  return signal == EvictionSignal::memory_available || signal == EvictionSignal::allocatable_memory;
}

Pressures pressures_of(const std::vector<EvictionThreshold>& thresholds) {
  Pressures found;
  for (const auto& threshold : thresholds) {
    if (is_of_memory(threshold.signal)) {
      found.memory = true;
    } else if (is_of_disk(threshold.signal)) {
      found.disk = true;
    } else {
      found.pid = true;
    }
  }
  return found;
}

}  // namespace

std::vector<EvictionThreshold> crossed(const std::vector<EvictionThreshold>& thresholds,
                                       const Observations& observations, bool reclaim) {
  std::vector<EvictionThreshold> found;
  for (const auto& threshold : thresholds) {
    const auto seen = observations.find(threshold.signal);
    if (seen == observations.end()) {
      continue;
    }
    int64_t least = threshold.value(seen->second.capacity);
    if (reclaim && threshold.minimum_reclaim) {
      least += threshold.minimum_reclaim->value(seen->second.capacity);
    }
    if (seen->second.available < least) {
      found.push_back(threshold);
    }
  }
  return found;
}

std::string_view resource_of(EvictionSignal signal) {
  switch (signal) {
    case EvictionSignal::memory_available:
    case EvictionSignal::allocatable_memory:
      return "memory";
    case EvictionSignal::nodefs_available:
    case EvictionSignal::imagefs_available:
    case EvictionSignal::containerfs_available:
      return "ephemeral-storage";
    case EvictionSignal::nodefs_inodes_free:
    case EvictionSignal::imagefs_inodes_free:
    case EvictionSignal::containerfs_inodes_free:
      return "inodes";
    case EvictionSignal::pid_available:
      return "pids";
  }
  return "";
}

bool is_of_disk(EvictionSignal signal) {
  return !is_of_memory(signal) && signal != EvictionSignal::pid_available;
}

ThresholdWatch::ThresholdWatch(std::vector<EvictionThreshold> thresholds, Duration transition)
    : thresholds_(std::move(thresholds)), held_(transition) {}

ThresholdWatch::View ThresholdWatch::observe(const Observations& observations, SteadyTime now) {
  auto active = crossed(thresholds_, observations, false);
  for (const auto& unresolved : crossed(due_, observations, true)) {
    if (std::ranges::find(active, unresolved) == active.end()) {
      active.push_back(unresolved);
    }
  }
  std::vector<Since> since;
  for (const auto& threshold : active) {
    const auto known = std::ranges::find(since_, threshold, &Since::threshold);
    since.push_back({threshold, known != since_.end() ? known->when : now});
  }
  since_ = std::move(since);
  due_.clear();
  for (const auto& [threshold, when] : since_) {
    if (now - when >= threshold.grace) {
      due_.push_back(threshold);
    }
  }
  View view{.pressures = held_.observe(pressures_of(active), now), .due = due_};
  std::ranges::stable_partition(view.due, [](const auto& threshold) { return is_of_memory(threshold.signal); });
  return view;
}

}  // namespace keelson::agent
