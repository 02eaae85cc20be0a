// SPDX-License-Identifier: Apache-2.0
// Mounts into a container's root while it is still a folder of the node, safe against symbolic links in its image.
#pragma once

#include "common/fd.h"
#include "cri/shim/protocol.h"
#include "cri/shim/user_namespace.h"

namespace keelson::cri::shim {

/// MS_RDONLY, MS_NOSUID, MS_NODEV and MS_NOEXEC of mount(2) as mount_setattr(2) and fsmount(2) take them.
uint64_t mount_attributes(uint64_t flags);

/// Opens `path` inside `root`, making what is missing of it: folders, and at the end a folder or an empty file.
/// Symbolic links are followed, but only inside the root.
Result<Fd> open_target(int root, const std::string& path, bool folder);

/// The same for a folder that no link leads to: behind a link of the image, procfs and sysfs would be out of reach of
/// the paths that are masked later (Kind::invalid; CVE-2019-19921, CVE-2023-27561).
Result<Fd> open_real_target(int root, const std::string& path);

/// A copy of what a bind mount binds, attached nowhere (open_tree(2)). While our mounts still are the node's peers, so
/// is the copy.
Result<Fd> copy_source(const Mount& mount);

/// The same of an image that is mounted, or of its sub path: the layers come together on the mount's source, where
/// nothing of the node must be shared any more. The error begins with ImageVolumeMountFailed, CRI's name for it.
Result<Fd> copy_image(const Mount& mount, const UserNamespace& users);

/// Gives such a copy the propagation, flags and owners of its mount, and attaches it at its target in `root`.
Result<> attach_bind(int root, const Mount& mount, const Fd& copy, const UserNamespace& users);

/// Puts a detached mount on a folder or file.
Result<> attach(const Fd& mount, const Fd& target);

/// Mounts a file system. Ids in its options are those of the user namespace. The node's /proc must be there.
Result<> mount_filesystem(int root, const Mount& mount, const UserNamespace& users);

}  // namespace keelson::cri::shim
