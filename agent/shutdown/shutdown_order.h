// SPDX-License-Identifier: Apache-2.0
// Which pods end when the machine goes down, in which order, and how long each may take
// (kubelet pkg/kubelet/nodeshutdown). Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "kube/pod.h"

namespace keelson::agent {

/// From this priority on, up to the next period's.
struct ShutdownPeriod {
  int32_t priority = 0;
  std::chrono::seconds grace{0};
  bool operator==(const ShutdownPeriod&) const = default;
};

/// shutdownGracePeriod and, of that, shutdownGracePeriodCriticalPods, as periods. None if `whole` is 0, or less than
/// `critical`.
std::vector<ShutdownPeriod> shutdown_periods(std::chrono::seconds whole, std::chrono::seconds critical);

/// How long all of them take together.
std::chrono::seconds shutdown_time(const std::vector<ShutdownPeriod>& periods);

/// Pods that end at the same time; valid as long as they are.
struct ShutdownGroup {
  ShutdownPeriod period;
  std::vector<const kube::Pod*> pods;
};
/// The lowest priority first; groups without pods are left out. A pod below all periods is of the lowest one.
std::vector<ShutdownGroup> shutdown_groups(std::vector<ShutdownPeriod> periods, const std::vector<kube::Pod>& pods);

}  // namespace keelson::agent
