// SPDX-License-Identifier: Apache-2.0
#include "agent/shutdown/shutdown_order.h"

#include <algorithm>

#include "agent/critical_pod.h"

namespace keelson::agent {

std::vector<ShutdownPeriod> shutdown_periods(std::chrono::seconds whole, std::chrono::seconds critical) {
  if (whole.count() <= 0 || critical > whole) {
    return {};
  }
  return {{.priority = 0, .grace = whole - critical}, {.priority = kSystemCriticalPriority, .grace = critical}};
}

std::chrono::seconds shutdown_time(const std::vector<ShutdownPeriod>& periods) {
  std::chrono::seconds sum{0};
  for (const auto& period : periods) {
    sum += period.grace;
  }
  return sum;
}

std::vector<ShutdownGroup> shutdown_groups(std::vector<ShutdownPeriod> periods, const std::vector<kube::Pod>& pods) {
  std::ranges::stable_sort(periods, {}, &ShutdownPeriod::priority);
  std::vector<ShutdownGroup> groups;
  for (const auto& period : periods) {
    groups.push_back({period, {}});
  }
  for (const auto& pod : pods) {
    const int32_t priority = pod.spec.priority.value_or(0);
    const auto above = std::ranges::upper_bound(groups, priority, {},
                                                [](const ShutdownGroup& group) { return group.period.priority; });
    auto& group = above == groups.begin() ? groups.front() : *std::prev(above);
    group.pods.push_back(&pod);
  }
  std::erase_if(groups, [](const ShutdownGroup& group) { return group.pods.empty(); });
  return groups;
}

}  // namespace keelson::agent
