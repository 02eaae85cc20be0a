// SPDX-License-Identifier: Apache-2.0
// Mounts into a container's root while it is still a folder of the node, safe against symbolic links in its image.
#pragma once

#include "common/fd.h"
#include "cri/shim/protocol.h"

namespace keelson::cri::shim {

/// Opens `path` inside `root`, making what is missing of it: folders, and at the end a folder or an empty file.
/// Symbolic links are followed, but only inside the root.
Result<Fd> open_target(int root, const std::string& path, bool folder);

/// One mount of the specification. procfs and sysfs are mounted on real folders only: behind a link of the image they
/// would be out of reach of the paths that are masked later (Kind::invalid; CVE-2019-19921, CVE-2023-27561).
/// `copy`: for a bind mount, detached mounts to attach instead of the source's (open_tree(2)); -1: none.
Result<> mount_in(int root, const Mount& mount, int copy = -1);

}  // namespace keelson::cri::shim
