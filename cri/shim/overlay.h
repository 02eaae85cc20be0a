// SPDX-License-Identifier: Apache-2.0
// A container's root file system as an overlay of its image's layers.
#pragma once

#include "common/result.h"
#include "cri/shim/protocol.h"
#include "cri/shim/user_namespace.h"

namespace keelson::cri::shim {

/// Mounts the layers of `spec` (or rootfs_dir itself, without layers) on rootfs_dir. Any number of layers that
/// overlayfs takes (500) fits, however long their paths are. The node's /proc must be there; the working directory is
/// "/" after. In a user namespace the layers' owners are its numbers; on disk they stay what they are.
Result<> mount_overlay(const ContainerSpec& spec, const UserNamespace& users);

}  // namespace keelson::cri::shim
