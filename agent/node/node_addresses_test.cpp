// SPDX-License-Identifier: Apache-2.0
// Which addresses a node has, by what it was given and what its machine says.
#include "agent/node/node_addresses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct World {
  std::vector<std::string> named;
  std::vector<std::string> own = {"127.0.0.1", "10.0.0.1", "192.168.0.1", "169.254.1.1", "::1", "fd00::1", "fe80::1"};
  std::string route4 = "10.0.0.1";
  std::string route6 = "fd00::1";

  Result<std::vector<std::string>> addresses(std::vector<std::string> given, std::string name = "n1") const {
    return node_addresses({.node_name = std::move(name), .given = std::move(given)},
                          {.look_up = [this](const std::string&) { return named; },
                           .own = [this] { return own; },
                           .of_default_route = [this](bool six) { return six ? route6 : route4; }});
  }
};

TEST(NodeAddresses, ThoseThatAreGivenCount) {
  const World world;
  EXPECT_THAT(world.addresses({"192.168.0.1"}).value(), ElementsAre("192.168.0.1"));
  EXPECT_THAT(world.addresses({"fd00::1", "10.0.0.1"}).value(), ElementsAre("fd00::1", "10.0.0.1"));
}

TEST(NodeAddresses, WhatCannotBeANodesIsRefused) {
  const World world;
  const auto error = [&](const std::string& given) { return world.addresses({given}).error().message(); };
  EXPECT_THAT(error("127.0.0.1"), HasSubstr("nodeIP 127.0.0.1 can't be loopback address"));
  EXPECT_THAT(error("::1"), HasSubstr("loopback"));
  EXPECT_THAT(error("224.0.0.1"), HasSubstr("multicast"));
  EXPECT_THAT(error("169.254.1.1"), HasSubstr("link-local"));
  EXPECT_THAT(error("fe80::1"), HasSubstr("link-local"));
  EXPECT_THAT(error("::ffff:127.0.0.1"), HasSubstr("loopback"));
  EXPECT_THAT(error("10.0.0.2"), HasSubstr("node IP: \"10.0.0.2\" not found in the host's network interfaces"));
}

TEST(NodeAddresses, ElseTheNameThenDnsThenTheDefaultRoute) {
  World world;
  EXPECT_THAT(world.addresses({}, "10.9.9.9").value(), ElementsAre("10.9.9.9")) << "a name that is one";
  world.named = {"127.0.1.1", "10.7.7.7", "fd00::1", "192.168.0.1"};
  EXPECT_THAT(world.addresses({}).value(), ElementsAre("192.168.0.1")) << "ours, and IPv4 before IPv6";
  EXPECT_THAT(world.addresses({"::"}).value(), ElementsAre("fd00::1"));
  world.named = {"127.0.1.1", "fd00::1"};
  EXPECT_THAT(world.addresses({}).value(), ElementsAre("fd00::1")) << "rather than none";
  world.named = {"127.0.1.1"};
  EXPECT_THAT(world.addresses({}).value(), ElementsAre("10.0.0.1"));
  EXPECT_THAT(world.addresses({"::"}).value(), ElementsAre("fd00::1"));
  world.route4 = "";
  EXPECT_THAT(world.addresses({"0.0.0.0"}).value(), ElementsAre("fd00::1"));
  world.route6 = "";
  EXPECT_THAT(world.addresses({}).value(), ElementsAre("10.0.0.1")) << "no route at all, but a link";
  world.own = {"127.0.0.1", "::1"};
  EXPECT_EQ(world.addresses({}).error().kind(), Kind::not_found);
}

TEST(NodeAddresses, AreOneOrOneOfEachFamily) {
  EXPECT_TRUE(check_node_ips({}));
  EXPECT_TRUE(check_node_ips({"10.0.0.1", "::"}));
  EXPECT_FALSE(check_node_ips({"10.0.0.1", "10.0.0.2"}));
  EXPECT_FALSE(check_node_ips({"here"}));
  EXPECT_FALSE(check_node_ips({"fe80::1%eth0"}));
  EXPECT_FALSE(check_node_ips({"10.0.0.1", "::ffff:10.0.0.2"})) << "both are of IPv4";
  EXPECT_THAT(specified_addresses({"10.0.0.1", "fd00::1"}), ElementsAre("10.0.0.1", "fd00::1"));
  EXPECT_THAT(specified_addresses({"10.0.0.1", "::"}), ElementsAre("10.0.0.1"));
  EXPECT_THAT(specified_addresses({"0.0.0.0"}), IsEmpty());
}

TEST(HostIps, AreTheNodesOneOfEachFamily) {
  kube::Node node;
  EXPECT_THAT(host_ips(node), IsEmpty());
  node.addresses = {{.type = "Hostname", .address = "n1"},
                    {.type = "ExternalIP", .address = "1.2.3.4"},
                    {.type = "ExternalIP", .address = "2001:db8::1"},
                    {.type = "InternalIP", .address = "10.0.0.1"},
                    {.type = "InternalIP", .address = "10.0.0.2"}};
  EXPECT_THAT(host_ips(node), ElementsAre("10.0.0.1", "2001:db8::1"));
}

}  // namespace
}  // namespace keelson::agent
