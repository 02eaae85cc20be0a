// SPDX-License-Identifier: Apache-2.0
// What the node's configuration means for its place in a cluster: its addresses, what pods may use of it, and how it is
// registered.
#pragma once

#include <string>
#include <vector>

#include "agent/node/heartbeat.h"
#include "cmd/keelson/config.h"
#include "cmd/keelson/pod_options.h"
#include "kube/quantity.h"

namespace keelson::cli {

/// What others know of this node, whether in a cluster or alone.
struct LocalNode {
  std::vector<std::string> addresses;  ///< The primary one first, one of each family.
  kube::ResourceList capacity;         ///< with "pid", which no Node tells
  kube::ResourceList allocatable;
  kube::ResourceList enforced;  ///< what the cgroup of all pods may be held to
  kube::ResourceList reserved_for_system;
  kube::ResourceList reserved_for_kube;
  int64_t reserved_memory = 0;  ///< bytes, by systemReserved and kubeReserved
  PodOptions pods;
};
/// Kind::invalid names the key. Reads the machine.
Result<LocalNode> local_node(const NodeConfig& config);

/// For a node with a kubeconfig. Kind::invalid names the key.
Result<agent::HeartbeatOptions> heartbeat_options(const NodeConfig& config, const LocalNode& node);

}  // namespace keelson::cli
