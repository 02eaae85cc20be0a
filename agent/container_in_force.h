// SPDX-License-Identifier: Apache-2.0
// What a container's status says of what it was given: resources, mounts, user (kubelet pkg/kubelet/kubelet_pods.go,
// convertToAPIContainerStatuses).
#pragma once

#include "agent/observed.h"
#include "kube/container.h"
#include "kube/pod_status.h"

namespace keelson::agent {

/// Fills resources, allocatedResources, volumeMounts and user. `instance` may be nullptr: then the mounts alone, as the
/// spec wants them. While the instance runs, CPU and memory are what the runtime tells, unless both that and the spec
/// are below what the kernel can tell apart.
void tell_in_force(const kube::Container& container, const ObservedContainer* instance, kube::ContainerStatus& status);

}  // namespace keelson::agent
