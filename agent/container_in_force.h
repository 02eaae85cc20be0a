// SPDX-License-Identifier: Apache-2.0
// What a container was given beside what its spec wants: for its status (resources, mounts, user: kubelet
// pkg/kubelet/kubelet_pods.go, convertToAPIContainerStatuses), and to change it while it runs (KEP-1287).
#pragma once

#include <optional>

#include "agent/config/resources.h"
#include "agent/observed.h"
#include "kube/container.h"
#include "kube/pod_status.h"

namespace keelson::agent {

/// Fills resources, allocatedResources, volumeMounts and user. `instance` may be nullptr: then the mounts alone, as the
/// spec wants them. While the instance runs, CPU and memory are what the runtime tells, unless both that and the spec
/// are below what the kernel can tell apart.
void tell_in_force(const kube::Container& container, const ObservedContainer* instance, kube::ContainerStatus& status);

enum class Resize {
  none,
  in_place,
  by_restart,  ///< Its resizePolicy says so.
};
/// What a running instance needs. `given`: what this agent gave it last, if it did; else what the runtime tells counts,
/// and of one that tells nothing nothing is asked.
Resize resize_of(const kube::Pod& pod, const kube::Container& container, const ObservedContainer& instance,
                 const std::optional<ObservedResources>& given, CpuQuotas quotas);

}  // namespace keelson::agent
