// SPDX-License-Identifier: Apache-2.0
// The daemon: roles put together from a configuration.
#pragma once

#include "cmd/keelson/config.h"

namespace keelson::cli {

/// Runs the roles until SIGTERM or SIGINT; a second signal ends it at once. The value is the exit code.
Result<int> run_node(const NodeConfig& config);

}  // namespace keelson::cli
