// SPDX-License-Identifier: Apache-2.0
// Mounts below the agent's folders.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "kube/volume.h"

namespace keelson::agent {

/// Mount points at or below `folder`, deepest first.
Result<std::vector<std::string>> mounts_below(const std::string& folder);
Result<bool> is_mount_point(const std::string& path);

/// Unmounts what is mounted at or below `folder`, lazily, and removes it. Never deletes through a mount. Absent is
/// success.
Result<> unmount_and_remove(const std::string& folder);

/// What the type of a hostPath asks for is there, or is made. Kind::invalid: something else is.
Result<> check_host_path(const kube::HostPathVolume& volume);

}  // namespace keelson::agent
