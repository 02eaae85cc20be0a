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
  std::vector<std::string> addresses;  ///< The primary one first, one of each family; in a cluster until it has a Node.
  kube::ResourceList capacity;         ///< with "pid", which no Node tells
  kube::ResourceList allocatable;
  kube::StringMap labels;       ///< nodeLabels
  kube::ResourceList enforced;  ///< what the cgroup of all pods may be held to
  kube::ResourceList reserved_for_system;
  kube::ResourceList reserved_for_kube;
  int64_t reserved_memory = 0;  ///< bytes, by systemReserved and kubeReserved
  PodOptions pods;
};
/// Where the node's own keys and certificates are.
std::string cert_dir(const NodeConfig& config);
/// What the Node tells as its kubelet's, without who we are: "v1.34.4".
std::string kubernetes_version();
/// The client certificate that this node renews; empty: none (rotateCertificates).
std::string rotated_certificate(const NodeConfig& config);
/// Kind::invalid names the key. Reads the machine.
Result<LocalNode> local_node(const NodeConfig& config);

/// For a node with a kubeconfig. Kind::invalid names the key.
Result<agent::HeartbeatOptions> heartbeat_options(const NodeConfig& config);

}  // namespace keelson::cli
