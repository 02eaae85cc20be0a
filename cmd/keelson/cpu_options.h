// SPDX-License-Identifier: Apache-2.0
// What the node's configuration means for who runs on which CPUs.
#pragma once

#include "agent/cpus/cpu_manager.h"
#include "cmd/keelson/config.h"
#include "cmd/keelson/membership.h"

namespace keelson::cli {

/// Kind::invalid names the key.
Result<cpus::CpuManagerOptions> cpu_manager_options(const NodeConfig& config, const LocalNode& node);

}  // namespace keelson::cli
