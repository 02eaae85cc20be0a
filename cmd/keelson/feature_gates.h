// SPDX-License-Identifier: Apache-2.0
// The kubelet's feature gates that mean something here.
#pragma once

#include <string_view>

#include "cmd/keelson/config.h"

namespace keelson::cli {

inline constexpr std::string_view kAlphaCpuOptions = "CPUManagerPolicyAlphaOptions";
inline constexpr std::string_view kBetaCpuOptions = "CPUManagerPolicyBetaOptions";
inline constexpr std::string_view kVolumeHealth = "CSIVolumeHealth";

/// What the configuration says of it; else `otherwise`. The last word counts.
bool gate(const NodeConfig& config, std::string_view name, bool otherwise);

/// Each is NAME=true or NAME=false. Kind::invalid.
Result<> check_gates(const NodeConfig& config);

/// Adds a note of each that means nothing here.
void note_gates(NodeConfig& config);

}  // namespace keelson::cli
