// SPDX-License-Identifier: Apache-2.0
// Pods whose CPU and memory are changed while they run (KEP-1287; kubelet pkg/kubelet/allocation): what the API wants,
// and what the node has given. No I/O.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/cluster/admission.h"
#include "common/stats.h"

namespace keelson::agent {

/// Of containers and sidecars, by name.
using ContainerResources = std::map<std::string, kube::ResourceRequirements>;

/// What the spec says.
ContainerResources resources_of(const kube::Pod& pod);
/// What an earlier life of the agent gave, as the status says: requests that were set aside, limits that are in force.
/// Where it says nothing, what the spec says.
ContainerResources resources_given(const kube::Pod& pod);
void set_resources(kube::Pod& pod, const ContainerResources& resources);

/// Why a pod is not resized.
struct ResizeRefusal {
  std::string reason;  ///< "Infeasible" or "Deferred"
  std::string message;
  std::string detail = {};  ///< Of an infeasible one: `reason_detail` of its metric.
};

/// Whether the pod, which is `before` still, may be as it is now beside `others`. nullopt: yes; else with reason
/// "Infeasible", if it never can, or "Deferred", until others leave. Pure.
std::optional<ResizeRefusal> judge_resize(const kube::Pod& pod, const kube::Pod& before,
                                          const std::vector<const kube::Pod*>& others, const AdmissionNode& node);

/// Whether swap of a container that keeps running would change: nobody changes that (KEP-1287). Pure.
bool resizes_swap(const kube::Pod& given, const kube::Pod& wanted);

/// Adds what differs between two wishes, by {resource,requirement,operation}.
void count_requested(const ContainerResources& before, const ContainerResources& now, CounterVec& counts);

/// A change that the API wants and the node has not given.
struct PendingResize {
  std::string pod;  ///< Its full name.
  ContainerResources wanted;
  std::optional<kube::PodCondition> condition = {};  ///< PodResizePending, once it was judged.
};

}  // namespace keelson::agent
