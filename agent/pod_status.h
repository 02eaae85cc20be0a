// SPDX-License-Identifier: Apache-2.0
// What the node says of a pod (status.phase, conditions, containerStatuses): a pure function of what plan() sees too.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/plan.h"
#include "kube/pod.h"

namespace keelson::agent {

/// What the status needs to know of the node.
struct StatusNode {
  std::vector<std::string> ips;          ///< Become hostIPs, and podIPs with host networking.
  std::string runtime_name = "keelson";  ///< Before "://" in container ids.
};

/// What a status is made from. `previous` is what was said last: transition times and a final phase are kept from it.
struct StatusInput {
  const kube::Pod& pod;
  const ObservedPod& observed;
  const PodMemory& memory;
  const Plan& plan;
  const kube::PodStatus& previous;
  CpuQuotas quotas = {};
};

/// The status now. Pure. Rules: features of the kubelet's generateAPIPodStatus: a final phase is held back until
/// nothing runs, and never changes again; conditions PodReadyToStartContainers, Initialized, Ready, ContainersReady,
/// PodScheduled with the kubelet's reasons; condition types of others in `previous` are kept. Of containers that are no
/// longer there, in a pod that ends, what `previous` says of their end is kept.
kube::PodStatus make_status(const StatusInput& input, const StatusNode& node, WallTime now);

/// Exchanges the conditions that are not the node's (kube/status_patch.h), and PodResizePending, for those of `from`.
void take_conditions_of_others(kube::PodStatus& status, const kube::PodStatus& from);

/// A pod's addresses: one of each family, that of the node's first one ahead (kubelet sortPodIPs).
std::vector<std::string> in_family_order(const std::vector<std::string>& ips, const StatusNode& node);

/// Containers that run are about to get other resources.
bool is_resizing(const kube::PodStatus& status);

/// What containers have now, as the event of a finished resize tells it: {"containers":[{"name":..,"resources":..}]}.
std::string resize_summary(const kube::Pod& pod);

/// What follows "container ... is waiting to start" where there is no log yet: why it waits, in the kubelet's words
/// (validateContainerLogStatus), which kubectl shows.
std::string why_waiting(const kube::PodStatus& status, std::string_view container);

}  // namespace keelson::agent
