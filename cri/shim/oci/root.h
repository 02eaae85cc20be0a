// SPDX-License-Identifier: Apache-2.0
// The root file system that an OCI runtime finds in its bundle.
#pragma once

#include "cri/shim/protocol.h"
#include "cri/shim/user_lookup.h"

namespace keelson::cri::shim::oci {

/// Moves this process into a mount namespace of its own and mounts the container's overlay there, on spec.rootfs_dir.
/// Sources that are to be shared with the node are copied to "shared-<n>" in the bundle while they still are its peers,
/// and `spec` then names the copies. Images that are mounted become bind mounts of "image-<n>" there. Nothing of this
/// can be seen by the node.
Result<> mount_root(ContainerSpec& spec);

/// Who spec.process.user is by the root's own /etc/passwd; no link in it leads out.
Result<User> user_in_root(const ContainerSpec& spec);

}  // namespace keelson::cri::shim::oci
