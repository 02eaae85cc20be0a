// SPDX-License-Identifier: Apache-2.0
// What the node's configuration means for who runs on which CPUs.
#pragma once

#include <memory>

#include "agent/cpus/cpu_manager.h"
#include "cmd/keelson/config.h"
#include "cmd/keelson/membership.h"

namespace keelson::cli {

/// For this machine. `runtime` outlives it. Kind::invalid names the key.
Result<std::unique_ptr<cpus::CpuManager>> make_cpu_manager(Loop& loop, cri::RuntimeClient& runtime,
                                                           const NodeConfig& config, const LocalNode& node);

}  // namespace keelson::cli
