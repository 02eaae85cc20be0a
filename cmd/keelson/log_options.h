// SPDX-License-Identifier: Apache-2.0
// How logs of containers are rotated, from the node's settings.
#pragma once

#include "agent/log_rotator.h"
#include "cmd/keelson/config.h"
#include "common/result.h"

namespace keelson::cli {

/// Kind::invalid names the setting.
Result<agent::LogRotation> log_rotation(const NodeConfig& config);

}  // namespace keelson::cli
