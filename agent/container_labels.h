// SPDX-License-Identifier: Apache-2.0
// The labels and annotations by which the agent finds its pods and containers again: the kubelet's, and one of our own.
#pragma once

#include <string>

#include "cri/client/types.h"

namespace keelson::agent {

inline constexpr const char* kPodName = "io.kubernetes.pod.name";
inline constexpr const char* kPodNamespace = "io.kubernetes.pod.namespace";
inline constexpr const char* kPodUid = "io.kubernetes.pod.uid";
inline constexpr const char* kContainerName = "io.kubernetes.container.name";
inline constexpr const char* kHash = "io.kubernetes.container.hash";
inline constexpr const char* kRestartCount = "io.kubernetes.container.restartCount";
inline constexpr const char* kPodGrace = "io.kubernetes.pod.terminationGracePeriod";
inline constexpr const char* kMessagePath = "io.kubernetes.container.terminationMessagePath";
inline constexpr const char* kMessagePolicy = "io.kubernetes.container.terminationMessagePolicy";
inline constexpr const char* kRestartDelay = "node.keelson.dev/restart-delay-ms";

/// "" where there is none.
inline std::string value_at(const cri::StringMap& map, const char* key) {
  auto it = map.find(key);
  return it == map.end() ? "" : it->second;
}

}  // namespace keelson::agent
