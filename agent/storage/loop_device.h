// SPDX-License-Identifier: Apache-2.0
// Loop devices that hold a block device: while one is there, no other device takes the number that it has (kubelet
// pkg/volume/util/volumepathhandler).
#pragma once

#include <string>

#include "common/result.h"

namespace keelson::storage {

/// Attaches a free loop device to the file or device at `path`, unless one is already; its path, "/dev/loop3".
Result<std::string> attach_loop(const std::string& path);

/// Detaches all loop devices of `path`. None is success.
Result<> detach_loops(const std::string& path);

}  // namespace keelson::storage
