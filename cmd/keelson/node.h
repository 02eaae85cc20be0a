// SPDX-License-Identifier: Apache-2.0
// The daemon: roles put together from a configuration.
#pragma once

#include <string>

#include "cmd/keelson/config.h"
#include "common/cgroup/unit_name.h"

namespace keelson::cli {

/// Runs the roles until SIGTERM or SIGINT; a second signal ends it at once. The value is the exit code.
Result<int> run_node(const NodeConfig& config);

/// Where the runtime serves CRI: as configured, or below the run folder.
std::string cri_socket(const NodeConfig& config);
cgroup::Driver driver_of(const NodeConfig& config);

}  // namespace keelson::cli
