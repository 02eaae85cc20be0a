// SPDX-License-Identifier: Apache-2.0
// What the node's configuration means for the kubelet API.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/kubelet_api/kubelet_api.h"
#include "cmd/keelson/config.h"

namespace keelson::cli {

/// Nothing: it is not to be served. `addresses`: the node's. Kind::invalid names the key; errors of the kubeconfig.
Result<std::optional<agent::KubeletApiOptions>> kubelet_api_options(const NodeConfig& config,
                                                                    const std::vector<std::string>& addresses);

/// Where it is served, and its /healthz alone; 0: not.
uint16_t kubelet_port(const NodeConfig& config);
uint16_t kubelet_healthz_port(const NodeConfig& config);

/// What runs, as a KubeletConfiguration in JSON, with all its fields.
std::string kubelet_configuration(const NodeConfig& config);

}  // namespace keelson::cli
