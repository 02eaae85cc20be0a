// SPDX-License-Identifier: Apache-2.0
// A container's file system, made inside its own mount namespace: the node sees none of these mounts.
#pragma once

#include "common/fd.h"
#include "cri/shim/protocol.h"

namespace keelson::cri::shim {

/// Mounts the root and everything in it and makes it "/" (pivot_root(2)). The calling process must be alone in a new
/// mount namespace; after an error it is good for nothing but to tell it. The error names the step and the path. Order:
/// root overlay, mounts, devices, pivot, masked and read-only paths, read-only root.
Result<> enter_rootfs(const ContainerSpec& spec);

}  // namespace keelson::cri::shim
