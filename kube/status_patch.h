// SPDX-License-Identifier: Apache-2.0
// What a node changes of a pod's status, as the API takes it: a strategic merge patch.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kube/pod_status.h"

namespace keelson::kube {

/// A condition that several set. The node does when it has ended a pod for want of something, with this reason.
inline constexpr const char* kDisruptionTarget = "DisruptionTarget";
inline constexpr const char* kTerminationByKubelet = "TerminationByKubelet";

/// Of a change of resources that has to wait, or cannot be; and of one that is under way (KEP-1287).
inline constexpr const char* kResizePending = "PodResizePending";
inline constexpr const char* kResizeInProgress = "PodResizeInProgress";

/// The conditions that the node alone sets; all others belong to somebody else (a readiness gate's controller, the
/// scheduler, who evicts), and no patch names them but for the node's own DisruptionTarget.
bool is_condition_of_node(std::string_view type);

/// The patch of the subresource `status` that turns what the API has into what the node says; nullopt if that is the
/// same. It holds `uid`, so that the server refuses it (409) for another pod of this name. Only what differs is in it:
/// conditions by their type, addresses and container statuses as whole lists. Times count by the second, as the API has
/// them; the QoS class is the server's own. Pure.
std::optional<std::string> status_patch(std::string_view uid, const PodStatus& has, const PodStatus& says);

}  // namespace keelson::kube
