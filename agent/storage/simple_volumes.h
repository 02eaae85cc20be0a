// SPDX-License-Identifier: Apache-2.0
// Volumes that a node mounts by itself: hostPath, NFS.
#pragma once

#include <string>

#include "agent/config/pod_storage.h"
#include "agent/storage/claims.h"

namespace keelson::storage {

/// Blocks, for NFS up to two minutes, when what mounts is killed; thread-safe. Idempotent. `root` is the agent's state
/// folder. What is mounted is below the pod's folder, and goes with it.
Result<agent::MountedVolume> mount_simple(const std::string& root, const kube::Pod& pod, const BoundVolume& bound);

}  // namespace keelson::storage
