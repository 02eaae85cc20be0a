// SPDX-License-Identifier: Apache-2.0
// What is said of one container (kubelet convertToAPIContainerStatuses).
#pragma once

#include "agent/pod_status.h"

namespace keelson::agent {

/// In which list of the spec a container stands.
enum class Role { init, main, ephemeral };

/// The status now. Pure. Of a container that the runtime has lost while it ran, that it ended with exit code 137 and
/// reason ContainerStatusUnknown: as its state in a pod that ends, as its last state in one that goes on.
kube::ContainerStatus container_status(const StatusInput& in, const StatusNode& node, const kube::Container& container,
                                       Role role);

}  // namespace keelson::agent
