// SPDX-License-Identifier: Apache-2.0
// Which pods the node itself ends last, or never (kubelet pkg/kubelet/types IsCriticalPod).
#pragma once

#include "kube/pod.h"

namespace keelson::agent {

inline constexpr int32_t kSystemCriticalPriority = 2'000'000'000;
inline constexpr const char* kConfigSource = "kubernetes.io/config.source";

/// Of the API's mirror of a static pod: that one's uid.
inline constexpr const char* kMirrorAnnotation = "kubernetes.io/config.mirror";

/// Of the manifest folder, in a cluster (the annotation that the agent gives it).
inline bool is_static(const kube::Pod& pod) {
  const auto source = pod.metadata.annotations.find(kConfigSource);
  return source != pod.metadata.annotations.end() && source->second != "api";
}

inline bool is_mirror(const kube::Pod& pod) {
  return pod.metadata.annotations.contains(kMirrorAnnotation);
}

/// Static, the API's mirror of a static one, or of system-cluster-critical priority or above: never evicted, admitted
/// under any pressure, and what others are preempted for.
inline bool is_critical(const kube::Pod& pod) {
  return is_static(pod) || is_mirror(pod) || pod.spec.priority.value_or(0) >= kSystemCriticalPriority;
}

}  // namespace keelson::agent
