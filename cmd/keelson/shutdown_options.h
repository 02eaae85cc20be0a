// SPDX-License-Identifier: Apache-2.0
// How long a shutdown of the machine waits for pods, from the node's settings.
#pragma once

#include <vector>

#include "agent/shutdown/shutdown_order.h"
#include "cmd/keelson/config.h"
#include "common/result.h"

namespace keelson::cli {

/// None: it does not wait. Kind::invalid names the setting.
Result<std::vector<agent::ShutdownPeriod>> shutdown_periods(const NodeConfig& config);

}  // namespace keelson::cli
