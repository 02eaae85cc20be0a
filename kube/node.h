// SPDX-License-Identifier: Apache-2.0
// Node (core/v1), as far as routing reads it: who it is, its zone, its addresses, its pods' ranges, and whether it
// goes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "kube/meta.h"

namespace keelson::kube {

inline constexpr std::string_view kZoneLabel = "topology.kubernetes.io/zone";
/// Set by the cluster autoscaler on a node that it is about to remove: kube-proxy calls such a node unhealthy, so that
/// load balancers send it nothing new.
inline constexpr std::string_view kToBeDeletedTaint = "ToBeDeletedByClusterAutoscaler";

struct Taint {
  std::string key;
  std::string value;
  std::string effect;  ///< "NoSchedule", "PreferNoSchedule", "NoExecute".
  std::optional<WallTime> time_added;
  bool operator==(const Taint&) const = default;
};

struct NodeAddress {
  std::string type;  ///< "InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS"; clouds may add others.
  std::string address;
  bool operator==(const NodeAddress&) const = default;
};

/// Has no namespace: metadata.ns is empty. The rest of its spec and status is dropped.
struct Node {
  ObjectMeta metadata;
  std::vector<std::string> pod_cidrs;  ///< At most one a family; none: the network plugin has its own way.
  bool unschedulable = false;
  std::vector<Taint> taints;
  std::vector<NodeAddress> addresses;
  std::optional<bool> supplemental_groups_policy;  ///< status.features: its runtime obeys the policy Strict (KEP-3619)
  bool operator==(const Node&) const = default;
};

/// The label kZoneLabel; empty: none.
std::string_view zone_of(const Node& node);
/// Its deletion has begun, or it has the taint kToBeDeletedTaint.
bool is_leaving(const Node& node);

}  // namespace keelson::kube
