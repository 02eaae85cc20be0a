// SPDX-License-Identifier: Apache-2.0
// Node (core/v1) with the whole of its spec and status: what a node's agent writes about its node. What routing reads
// of other nodes is the smaller Node (node.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "kube/meta.h"
#include "kube/node.h"
#include "kube/pod_status.h"
#include "kube/quantity.h"

namespace keelson::kube {

struct NodeCondition {
  std::string type;  ///< "Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable", or anybody's.
  ConditionStatus status = ConditionStatus::unknown;
  std::optional<WallTime> last_heartbeat_time;
  std::optional<WallTime> last_transition_time;
  std::string reason;
  std::string message;
  bool operator==(const NodeCondition&) const = default;
};

/// NodeSystemInfo: the machine and what runs on it. The API wants all of them, empty where unknown.
struct NodeSystemInfo {
  std::string machine_id;
  std::string system_uuid;
  std::string boot_id;  ///< Another one means that the node has rebooted.
  std::string kernel_version;
  std::string os_image;
  std::string container_runtime_version;  ///< "keelson://0.1.0"
  std::string kubelet_version;            ///< "v1.34.4..."
  std::string operating_system = "linux";
  std::string architecture;              ///< As Go names it: "amd64".
  std::optional<int64_t> swap_capacity;  ///< Bytes.
  bool operator==(const NodeSystemInfo&) const = default;
};

struct NodeImage {
  std::vector<std::string> names;  ///< Digests first, then tags.
  int64_t size_bytes = 0;
  bool operator==(const NodeImage&) const = default;
};

/// What pods that name this handler by their RuntimeClass can use.
struct NodeRuntimeHandler {
  std::string name;  ///< Empty: the default.
  std::optional<bool> recursive_read_only_mounts;
  std::optional<bool> user_namespaces;
  bool operator==(const NodeRuntimeHandler&) const = default;
};

struct AttachedVolume {
  std::string name;
  std::string device_path;
  bool operator==(const AttachedVolume&) const = default;
};

struct NodeStatus {
  ResourceList capacity;
  ResourceList allocatable;
  std::vector<NodeCondition> conditions;  ///< One of each type.
  std::vector<NodeAddress> addresses;
  int32_t kubelet_port = 0;  ///< daemonEndpoints.kubeletEndpoint; 0: it serves nothing.
  NodeSystemInfo node_info;
  std::vector<NodeImage> images;
  std::vector<std::string> volumes_in_use;
  std::vector<AttachedVolume> volumes_attached;
  std::vector<NodeRuntimeHandler> runtime_handlers;
  std::optional<bool> supplemental_groups_policy;  ///< features
  bool operator==(const NodeStatus&) const = default;
};

struct FullNode {
  ObjectMeta metadata;
  std::string provider_id;
  std::vector<std::string> pod_cidrs;
  bool unschedulable = false;
  std::vector<Taint> taints;
  NodeStatus status;
  bool operator==(const FullNode&) const = default;
};

/// From an API server's JSON; unknown fields are ignored. Kind::invalid names field and reason.
Result<FullNode> decode_full_node(std::string_view text);
/// With apiVersion and kind; keys in alphabetical order.
std::string encode_json(const FullNode& node);

/// What makes the status `before`, as it was read, into `after`: the body of a strategic merge patch of nodes/status.
/// Conditions are merged by type, so that those of others stay; addresses are replaced as a whole; resources that are
/// in `before` alone are removed. volumesAttached is the attach/detach controller's, and left to it. "{}": nothing.
std::string encode_status_patch(const NodeStatus& before, const NodeStatus& after);

/// What gives a Node these labels and annotations, as a strategic merge patch; others stay. An empty value removes it.
std::string encode_metadata_patch(const StringMap& labels, const StringMap& annotations);

}  // namespace keelson::kube
