// SPDX-License-Identifier: Apache-2.0
// How a pod uses a volume, in a driver's words. Pure.
#pragma once

#include <optional>

#include "agent/storage/claims.h"
#include "agent/storage/csi_drivers.h"

namespace keelson::storage {

/// The first access mode counts, as with the kubelet; one node's modes are told apart only to drivers that do.
/// `mount_group`: the pod's fsGroup, for drivers that mount with it.
csi::v1::VolumeCapability capability_of(const BoundVolume& bound, const RegisteredDriver& driver,
                                        std::optional<int64_t> mount_group);

/// Whether the node gives the volume's files to the pod's group (KEP-1682).
bool is_given_to_group(const BoundVolume& bound, kube::FsGroupPolicy policy, const RegisteredDriver& driver);

/// What a driver is told of the pod (CSIDriver.spec.podInfoOnMount).
kube::StringMap pod_info(const kube::Pod& pod, bool ephemeral);

}  // namespace keelson::storage
