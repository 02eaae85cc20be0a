// SPDX-License-Identifier: Apache-2.0
#include "network/node_addresses.h"

#include <gtest/gtest.h>

namespace keelson::network {
namespace {

const std::vector<std::string> kOwn = {"10.0.0.1", "192.0.2.7", "fd00::1", "fd00::2"};

std::string addresses(const std::vector<std::string>& entries, bool localhost) {
  auto rules = NodePortRules::parse(entries, localhost);
  if (!rules) {
    return rules.error().message();
  }
  std::string text;
  for (const auto& address : node_port_addresses(*rules, kOwn)) {
    text += (text.empty() ? "" : " ") + address.to_string();
  }
  return text;
}

TEST(NodeAddressesTest, AreThoseThatTheRulesName) {
  EXPECT_EQ(addresses({}, true), "10.0.0.1 192.0.2.7 fd00::1 fd00::2 127.0.0.1");
  EXPECT_EQ(addresses({}, false), "10.0.0.1 192.0.2.7 fd00::1 fd00::2");
  EXPECT_EQ(addresses({"192.0.2.0/24", "fd00::2/128"}, true), "192.0.2.7 fd00::2");
  EXPECT_EQ(addresses({"127.0.0.0/8"}, true), "127.0.0.1");
  EXPECT_EQ(addresses({"127.0.0.0/8"}, false), "");
  EXPECT_EQ(addresses({"primary"}, true), "10.0.0.1 fd00::1");
}

TEST(NodeAddressesTest, WrongEntriesAreNamed) {
  EXPECT_EQ(addresses({"10.0.0/8"}, true),
            "nodePortAddresses: \"10.0.0/8\" is no CIDR such as 10.0.0.0/8, nor \"primary\"");
  EXPECT_EQ(addresses({"primary", "10.0.0.0/8"}, true),
            "nodePortAddresses: \"primary\" stands alone, not beside CIDRs");
}

}  // namespace
}  // namespace keelson::network
