// SPDX-License-Identifier: Apache-2.0
#include "network/kube_proxy/ruleset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "network/kube_proxy/testdata.h"

namespace keelson::network {
namespace {

using dataplane::Address;
using dataplane::Protocol;

// By file: the same services, as iptables and as nftables.
class RulesetTest : public ::testing::TestWithParam<const char*> {
 protected:
  // "10.2.0.2:8080 10.3.0.1:8080 masqueraded"
  std::string fate(const std::string& source, const std::string& destination, uint16_t port,
                   Protocol protocol = Protocol::tcp) {
    auto fate = rules_.fate({protocol, *Address::parse(source), *Address::parse(destination), port,
                             source == "10.250.0.1", destination == "10.250.0.1"});
    std::string text;
    for (const auto& [address, backend_port] : fate.backends) {
      text += address.to_string() + ":" + std::to_string(backend_port) + " ";
    }
    text += fate.masquerade ? "masqueraded " : "";
    text += fate.rejected ? "rejected " : "";
    text += fate.dropped ? "dropped " : "";
    return text.empty() ? "nothing" : text.substr(0, text.size() - 1);
  }
  Ruleset rules_ = rules_of(GetParam());
  const std::string pod_ = "10.2.0.99", node_ = "10.250.0.1", outside_ = "192.0.2.9", stranger_ = "198.18.0.1";
};
INSTANTIATE_TEST_SUITE_P(Of, RulesetTest, ::testing::Values("iptables-save.txt", "nft.json"),
                         [](const auto& info) { return std::string(info.param).substr(0, 3); });

TEST_P(RulesetTest, ClusterIp) {
  EXPECT_EQ(fate(pod_, "10.96.0.11", 80), "10.2.0.2:8080 10.3.0.1:8080");
  EXPECT_EQ(fate(outside_, "10.96.0.11", 80), "10.2.0.2:8080 10.3.0.1:8080 masqueraded");
  EXPECT_EQ(fate(pod_, "10.96.0.11", 53, Protocol::udp), "10.2.0.2:5353 10.3.0.1:5353");
  EXPECT_EQ(fate(pod_, "10.96.0.11", 81), "nothing");
  EXPECT_EQ(fate(pod_, "10.96.0.11", 80, Protocol::udp), "nothing");
}

TEST_P(RulesetTest, APodThatIsSentToItselfIsMasqueraded) {
  EXPECT_EQ(fate("10.2.0.2", "10.96.0.11", 80), "10.2.0.2:8080 10.3.0.1:8080 masqueraded");
}

TEST_P(RulesetTest, NodePortAndExternalIp) {
  for (const auto& [to, port] : {std::pair(node_, 30080), std::pair(std::string("198.51.100.5"), 80)}) {
    EXPECT_EQ(fate(outside_, to, port), "10.2.0.2:8080 10.3.0.1:8080 masqueraded");
    EXPECT_EQ(fate(pod_, to, port), "10.2.0.2:8080 10.3.0.1:8080 masqueraded");
  }
  EXPECT_EQ(fate(outside_, "10.250.0.2", 30080), "nothing") << "not the node's address";
}

TEST_P(RulesetTest, AffinityMayGoAnywhere) {
  EXPECT_EQ(fate(pod_, "10.96.0.13", 80), "10.2.0.2:8080 10.3.0.1:8080");
}

TEST_P(RulesetTest, NobodyServesIt) {
  EXPECT_EQ(fate(pod_, "10.96.0.12", 80), "rejected");
  EXPECT_EQ(fate(outside_, node_, 30090), "rejected");
}

TEST_P(RulesetTest, ExternalPolicyLocal) {
  EXPECT_EQ(fate(outside_, node_, 30443), "10.2.0.2:8443");
  EXPECT_EQ(fate(pod_, node_, 30443), "10.2.0.2:8443 10.3.0.1:8443");
  EXPECT_EQ(fate(node_, node_, 30443), "10.2.0.2:8443 10.3.0.1:8443 masqueraded");
  EXPECT_EQ(fate(outside_, node_, 30091), "dropped") << "no endpoint here";
  EXPECT_EQ(fate(pod_, "10.96.0.15", 80), "dropped") << "internal policy Local";
}

TEST_P(RulesetTest, SourceRanges) {
  EXPECT_EQ(fate(outside_, "203.0.113.7", 443), "10.2.0.2:8443");
  EXPECT_EQ(fate(stranger_, "203.0.113.7", 443), "dropped");
}

TEST_P(RulesetTest, DestinationsAreAllThatHaveRules) {
  auto found = rules_.destinations();
  auto has = [&](const char* address, uint16_t port, Protocol protocol) {
    return found.contains({{*address ? *Address::parse(address) : Address(), port}, protocol});
  };
  EXPECT_TRUE(has("10.96.0.11", 80, Protocol::tcp));
  EXPECT_TRUE(has("10.96.0.12", 80, Protocol::tcp)) << "without endpoints";
  EXPECT_TRUE(has("203.0.113.7", 443, Protocol::tcp));
  EXPECT_TRUE(has("", 30053, Protocol::udp) || has("10.250.0.1", 30053, Protocol::udp));
  EXPECT_FALSE(has("10.2.0.2", 8080, Protocol::tcp));
}

TEST(BrokenRules, AreRefusedInWords) {
  auto line = Ruleset::from_iptables("*nat\n-A KUBE-SERVICES -d 10.96.0.x/32 -j KUBE-SVC-A\n");
  ASSERT_FALSE(line);
  EXPECT_THAT(line.error().message(), ::testing::HasSubstr("line 2 of iptables-save"));
  for (const char* text : {"", "{}", "[1]", R"({"nftables": [{"rule": {"chain": "a", "expr": [{"dnat": {}}]}}]})",
                           R"({"nftables": [{"rule": {"chain": "a", "expr": [{"vmap": {}}]}}]})"}) {
    EXPECT_FALSE(Ruleset::from_nftables(text)) << text;
  }
}

TEST(BrokenRules, LoopsEnd) {
  auto rules = Ruleset::from_iptables("*nat\n-A KUBE-SERVICES -j KUBE-SVC-A\n-A KUBE-SVC-A -j KUBE-SERVICES\n");
  ASSERT_TRUE(rules);
  EXPECT_EQ(rules->fate({}), Fate());
}

TEST(LongChains, AreWalkedAsShortOnesAre) {
  std::string text = "*nat\n";
  for (int i = 0; i < 500; i++) {
    text += "-A KUBE-SERVICES -d 10.96." + std::to_string(i / 250) + "." + std::to_string(i % 250) +
            "/32 -p tcp -m tcp --dport " + std::to_string(80 + i % 3) + " -j KUBE-SEP-" + std::to_string(i) + "\n";
    text += "-A KUBE-SEP-" + std::to_string(i) +
            " -p tcp -m tcp -j DNAT --to-destination 10.2.0.1:" + std::to_string(1000 + i) + "\n";
  }
  text += "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-SEP-7\n";
  auto rules = Ruleset::from_iptables(text);
  ASSERT_TRUE(rules);
  for (int i = 0; i < 500; i++) {
    Packet packet{Protocol::tcp, {}, Address::v4(0x0a600000u + (i / 250 << 8) + i % 250), uint16_t(80 + i % 3)};
    EXPECT_EQ(rules->fate(packet).backends, (std::set<Endpoint>{{*Address::parse("10.2.0.1"), 1000 + i}})) << i;
    packet.port = 90;
    EXPECT_EQ(rules->fate(packet), Fate()) << i;
    packet.to_node = true;
    EXPECT_EQ(rules->fate(packet).backends, (std::set<Endpoint>{{*Address::parse("10.2.0.1"), 1007}})) << i;
  }
}

}  // namespace
}  // namespace keelson::network
