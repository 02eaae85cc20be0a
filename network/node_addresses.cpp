// SPDX-License-Identifier: Apache-2.0
#include "network/node_addresses.h"

#include <algorithm>
#include <set>

namespace keelson::network {

using dataplane::Address;

Result<NodePortRules> NodePortRules::parse(const std::vector<std::string>& entries, bool localhost) {
  NodePortRules rules{.within = {}, .primary = false, .localhost = localhost};
  for (const auto& entry : entries) {
    if (entry == "primary") {
      rules.primary = true;
      continue;
    }
    auto prefix = dataplane::Prefix::parse(entry);
    if (!prefix) {
      return fail(Kind::invalid, "nodePortAddresses: \"{}\" is no CIDR such as 10.0.0.0/8, nor \"primary\"", entry);
    }
    rules.within.push_back(*prefix);
  }
  if (rules.primary && !rules.within.empty()) {
    return fail(Kind::invalid, "nodePortAddresses: \"primary\" stands alone, not beside CIDRs");
  }
  return rules;
}

std::vector<Address> node_port_addresses(const NodePortRules& rules, const std::vector<std::string>& own) {
  std::vector<Address> result;
  std::set<dataplane::Family> primary;
  auto wanted = [&](const Address& address) {
    if (rules.primary) {
      return primary.insert(address.family()).second;
    }
    return rules.within.empty() ||
           std::ranges::any_of(rules.within, [&](const auto& prefix) { return prefix.contains(address); });
  };
  for (const auto& text : own) {
    if (auto address = Address::parse(text); address && wanted(*address)) {
      result.push_back(*address);
    }
  }
  const auto loopback = Address::v4(0x7f000001);
  if (rules.localhost && !rules.primary && wanted(loopback)) {
    result.push_back(loopback);
  }
  return result;
}

}  // namespace keelson::network
