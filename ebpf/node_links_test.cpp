// SPDX-License-Identifier: Apache-2.0
#include "ebpf/node_links.h"

#include <gtest/gtest.h>

namespace keelson::ebpf {
namespace {

const std::vector<Link> kLinks = {
    {.index = {1}, .name = "lo"},
    {.index = {2}, .name = "eth0"},
    {.index = {3}, .name = "cbr0", .kind = "bridge"},
    {.index = {4}, .name = "veth1", .kind = "veth", .master = {3}},
    {.index = {5}, .name = "cali2", .kind = "veth"},
    {.index = {6}, .name = "cali3", .kind = "macvlan"},
};

// "eth0 uplink, veth1 pod ..." of those that get programs.
std::string kinds(const LinkRules& rules, std::optional<Ifindex> default_link = Ifindex{2}) {
  std::string text;
  for (const auto& link : kLinks) {
    if (auto kind = link_kind(link, kLinks, default_link, rules)) {
      text += (text.empty() ? "" : ", ") + link.name + (*kind == LinkKind::pod ? " pod" : " uplink");
    }
  }
  return text;
}

TEST(NodeLinksTest, EveryVethIsAPodsByDefault) {
  EXPECT_EQ(kinds({}), "eth0 uplink, veth1 pod, cali2 pod");
  EXPECT_EQ(kinds({}, std::nullopt), "veth1 pod, cali2 pod");
  EXPECT_EQ(kinds({.uplinks = {"cali2"}}), "veth1 pod, cali2 uplink");
}

TEST(NodeLinksTest, PortsOfABridge) {
  EXPECT_EQ(kinds({.pod_bridge = "cbr0"}), "eth0 uplink, veth1 pod, cali2 uplink");
  EXPECT_EQ(kinds({.pod_bridge = "none"}), "eth0 uplink, veth1 uplink, cali2 uplink");
}

TEST(NodeLinksTest, NamesThatBeginSo) {
  EXPECT_EQ(kinds({.pod_prefix = "cali"}), "eth0 uplink, veth1 uplink, cali2 pod, cali3 pod");
}

}  // namespace
}  // namespace keelson::ebpf
