// SPDX-License-Identifier: Apache-2.0
// What the node's configuration means for the role `network`.
#pragma once

#include <string>

#include "cmd/keelson/config.h"
#include "network/network_role.h"

namespace keelson::cli {

/// Of the role alone, or of the node; empty: a folder is the source.
std::string network_kubeconfig(const NodeConfig& config);
/// As configured, or the host's; in lower case, as Kubernetes wants it.
std::string node_name(const NodeConfig& config);
/// Where the addresses of all API servers are remembered.
std::string api_servers_file(const NodeConfig& config);

/// Kind::invalid names the key.
Result<network::NetworkOptions> network_options(const NodeConfig& config, const std::string& node_name);

}  // namespace keelson::cli
