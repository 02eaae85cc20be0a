// SPDX-License-Identifier: Apache-2.0
// How a node evicts pods and removes images, from its settings.
#pragma once

#include "agent/eviction/evictor.h"
#include "agent/eviction/image_collector.h"
#include "cmd/keelson/config.h"
#include "common/result.h"

namespace keelson::cli {

struct EvictionSettings {
  agent::EvictionOptions evictor;  ///< Without functions.
  agent::ImagePolicy images;
};

/// Kind::invalid names the setting.
Result<EvictionSettings> eviction_settings(const NodeConfig& config);

}  // namespace keelson::cli
