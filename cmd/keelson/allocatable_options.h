// SPDX-License-Identifier: Apache-2.0
// What the node's configuration means for the limits of all pods together, and of the system's daemons.
#pragma once

#include "agent/node_limits.h"
#include "cmd/keelson/config.h"
#include "cmd/keelson/membership.h"

namespace keelson::cli {

/// By enforceNodeAllocatable and what is reserved. Kind::invalid names the key.
Result<agent::NodeLimits> node_limits(const NodeConfig& config, const LocalNode& node);

}  // namespace keelson::cli
