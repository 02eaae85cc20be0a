// SPDX-License-Identifier: Apache-2.0
// Layers of an image as one file system: a container's root, or an image that is mounted as a volume.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "cri/shim/protocol.h"
#include "cri/shim/user_namespace.h"

namespace keelson::cri::shim {

/// Folders that come together in one.
struct Overlay {
  std::vector<std::string> lower_dirs;  ///< top first; two at the least where there is no upper folder
  std::string upper_dir;                ///< empty: nothing can be written
  std::string work_dir;                 ///< in the same folder as upper_dir
  std::string target;                   ///< a folder of the node, which is there
  std::string options;                  ///< more of overlayfs' own
};

/// Mounts them on the target. Any number of layers that overlayfs takes (500) fits, however long their paths are. The
/// node's /proc must be there; the working directory is "/" after. In a user namespace the layers' owners are its
/// numbers; on disk they stay what they are.
Result<> mount_layers(const Overlay& overlay, const UserNamespace& users);

/// Mounts the layers of `spec` (or rootfs_dir itself, without layers) on rootfs_dir; else as mount_layers().
Result<> mount_overlay(const ContainerSpec& spec, const UserNamespace& users);

}  // namespace keelson::cri::shim
