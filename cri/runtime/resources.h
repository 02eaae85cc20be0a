// SPDX-License-Identifier: Apache-2.0
// What CRI asks for in the words of common/cgroup.
#pragma once

#include <string>
#include <vector>

#include "common/cgroup/limits.h"
#include "cri/proto/api.pb.h"

namespace keelson::cri {

/// A container with a limit of memory and none of swap has no swap. Whether want of memory ends it as a whole is asked
/// for by `unified` (memory.oom.group).
cgroup::Limits limits_of(const ::runtime::v1::LinuxContainerResources& resources);

/// `rules` (see device_rules()), and the devices that every container has: null, zero, full, random, urandom, tty, ptmx
/// and pts. A node of any device may be made, for opening it is another thing.
std::vector<std::string> with_usual_devices(std::vector<std::string> rules);

}  // namespace keelson::cri
