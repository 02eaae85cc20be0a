// SPDX-License-Identifier: Apache-2.0
// Which of the node's addresses answer on node ports, and which one speaks for masqueraded flows.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "dataplane/address.h"

namespace keelson::network {

/// nodePortAddresses of a KubeProxyConfiguration: CIDRs, or "primary" for the node's first address of each family. No
/// entry: every address, and the loopback's where `localhost`. Kind::invalid names the entry.
struct NodePortRules {
  std::vector<dataplane::Prefix> within;
  bool primary = false;
  bool localhost = true;
  static Result<NodePortRules> parse(const std::vector<std::string>& entries, bool localhost);
  bool operator==(const NodePortRules&) const = default;
};

/// The addresses of node ports, of all that the node has ("10.0.0.1", "fd00::1"; the first of a family is its primary).
std::vector<dataplane::Address> node_port_addresses(const NodePortRules& rules, const std::vector<std::string>& own);

}  // namespace keelson::network
