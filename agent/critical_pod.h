// SPDX-License-Identifier: Apache-2.0
// Which pods the node itself ends last, or never (kubelet pkg/kubelet/types IsCriticalPod).
#pragma once

#include "kube/pod.h"

namespace keelson::agent {

inline constexpr int32_t kSystemCriticalPriority = 2'000'000'000;
inline constexpr const char* kConfigSource = "kubernetes.io/config.source";

/// Of the manifest folder, in a cluster (the annotation that the agent gives it).
inline bool is_static(const kube::Pod& pod) {
  const auto source = pod.metadata.annotations.find(kConfigSource);
  return source != pod.metadata.annotations.end() && source->second != "api";
}

/// Static, the API's mirror of a static one, or of system-cluster-critical priority or above: never evicted, admitted
/// under any pressure, and what others are preempted for.
inline bool is_critical(const kube::Pod& pod) {
  return is_static(pod) || pod.metadata.annotations.contains("kubernetes.io/config.mirror") ||
         pod.spec.priority.value_or(0) >= kSystemCriticalPriority;
}

}  // namespace keelson::agent
