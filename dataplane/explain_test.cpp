// SPDX-License-Identifier: Apache-2.0
#include "dataplane/explain.h"

#include <gtest/gtest.h>

#include <set>

namespace keelson::dataplane {
namespace {

Address at(const char* text) {
  return *Address::parse(text);
}

class ExplainTest : public ::testing::Test {
 protected:
  ExplainTest() {
    facts_.tcp_sockets = true;
    facts_.masquerade = {at("192.0.2.1"), Address{}};
    facts_.node_addresses = {at("192.0.2.1")};
    facts_.hash_seed = 7;
    Service& web = model_.services[{"shop/web:http", Family::ipv4}];
    web.backends = {{at("10.2.0.2"), 8080, true}, {at("10.3.0.1"), 8080, false}, {at("10.3.0.2"), 8080, false, false}};
    web.cluster = {0, 1};
    web.local = {0};
    web.frontends = {{FrontendKind::cluster_ip, at("10.96.0.1"), 80, {}},
                     {FrontendKind::load_balancer, at("203.0.113.9"), 80, {}, {*Prefix::parse("198.51.100.0/24")}}};
    web.frontends[0].uses.fill({Verdict::cluster});
    web.frontends[1].uses.fill({Verdict::cluster, true});
  }
  Service& web() { return model_.services.begin()->second; }
  Explanation explain(From from, const char* source = "", uint16_t source_port = 0, const char* to = "10.96.0.1",
                      uint16_t port = 80) const {
    NewFlow flow{.from = from, .source = Address::parse(source), .source_port = source_port};
    flow.destination = at(to);
    flow.port = port;
    return dataplane::explain(model_, flow, facts_);
  }
  Model model_;
  EngineFacts facts_;
};

TEST_F(ExplainTest, NoServiceNamesWhatIsThere) {
  auto why = explain(From::pod, "", 0, "10.96.0.1", 81);
  EXPECT_EQ(why.outcome, Outcome::no_service);
  EXPECT_EQ(why.reason, "no service has 10.96.0.1 port 81/TCP; at this address: shop/web:http at 80/TCP");
  EXPECT_EQ(explain(From::pod, "", 0, "10.96.0.7").reason,
            "no service has 10.96.0.7 port 80/TCP: the packet goes where the routes say");
}

TEST_F(ExplainTest, WhoDecides) {
  EXPECT_EQ(explain(From::pod).decider, Decider::socket);
  EXPECT_EQ(explain(From::pod).reason, "to one of 2 endpoints at random");
  EXPECT_EQ(explain(From::outside).decider, Decider::tc);
  // The range cannot be looked at before there is a source.
  EXPECT_EQ(explain(From::node, "", 0, "203.0.113.9").decider, Decider::tc);
  facts_.xdp = true;
  EXPECT_EQ(explain(From::outside).decider, Decider::tc) << "one endpoint is here";
  web().cluster = {1};
  EXPECT_EQ(explain(From::outside).decider, Decider::xdp);
  facts_.tcp_sockets = false;
  EXPECT_EQ(explain(From::pod).decider, Decider::tc);
}

TEST_F(ExplainTest, WhyItGoesNowhere) {
  web().frontends[0].uses.fill({Verdict::drop});
  auto dropped = explain(From::outside);
  EXPECT_EQ(dropped.outcome, Outcome::drop);
  EXPECT_EQ(dropped.reason, "the traffic policy is Local and none of its 3 endpoints is on this node");
  web().frontends[0].uses.fill({Verdict::reject});
  EXPECT_EQ(explain(From::pod).reason, "none of its 3 endpoints takes new flows");
  web().backends.clear();
  EXPECT_EQ(explain(From::pod).reason, "the service has no endpoint");
  EXPECT_EQ(explain(From::pod).outcome, Outcome::reject);
  auto range = explain(From::outside, "192.0.2.77", 0, "203.0.113.9");
  EXPECT_EQ(range.outcome, Outcome::drop);
  EXPECT_EQ(range.reason, "192.0.2.77 is not in loadBalancerSourceRanges (198.51.100.0/24)");
}

TEST_F(ExplainTest, TheHashSaysWhoIfTheSourcePortIsKnown) {
  EXPECT_FALSE(explain(From::outside, "10.1.0.3").chosen);
  std::set<uint32_t> seen;
  for (uint16_t port = 1000; port < 1100; port++) {
    auto why = explain(From::outside, "10.1.0.3", port);
    ASSERT_TRUE(why.chosen);
    seen.insert(*why.chosen);
    EXPECT_EQ(why.chosen, explain(From::outside, "10.1.0.3", port).chosen);
  }
  EXPECT_EQ(seen, (std::set<uint32_t>{0, 1}));
  web().algorithm = Algorithm::maglev;
  EXPECT_TRUE(explain(From::outside, "10.1.0.3", 1000).chosen);
  web().affinity_seconds = 60;
  EXPECT_FALSE(explain(From::outside, "10.1.0.3", 1000).chosen);
}

TEST_F(ExplainTest, AffinitySaysWhoTheClientHad) {
  web().affinity_seconds = 60;
  EXPECT_EQ(explain(From::outside, "10.1.0.3", 1000).reason,
            "to the endpoint that the client had in the last 60 s, else to one of 2");
  facts_.remembered = {at("10.3.0.1"), 8080};
  auto why = explain(From::outside, "10.1.0.3", 1000);
  EXPECT_EQ(why.chosen, 1u);
  EXPECT_EQ(why.reason, "to the endpoint that the client had in the last 60 s (session affinity)");
  facts_.remembered = {at("10.3.0.2"), 8080};
  EXPECT_FALSE(explain(From::outside, "10.1.0.3", 1000).chosen) << "it has left the pool";
}

TEST_F(ExplainTest, ByLocalSourcesPacketsAreOfPods) {
  web().frontends[0].uses = {Use{Verdict::cluster}, Use{Verdict::cluster}, Use{Verdict::local, true}};
  facts_.tcp_sockets = false;
  facts_.local_sources = {*Prefix::parse("10.2.0.0/16")};
  auto pod = explain(From::outside, "10.2.7.7"), other = explain(From::pod, "10.1.0.3"), node = explain(From::node);
  EXPECT_EQ(pod.from, From::pod);
  EXPECT_EQ(pod.pool.size(), 2u);
  EXPECT_FALSE(pod.masquerade_as);
  EXPECT_EQ(other.from, From::outside);
  EXPECT_EQ(other.pool.size(), 1u);
  EXPECT_TRUE(other.masquerade_as);
  EXPECT_EQ(node.from, From::node);
  facts_.tcp_sockets = true;
  EXPECT_EQ(explain(From::pod, "10.1.0.3").from, From::pod) << "at its socket";
  facts_.local_sources = {*Prefix::parse("fd02::/16")};
  EXPECT_EQ(explain(From::outside, "10.2.7.7").from, From::outside) << "of the other family";
}

TEST_F(ExplainTest, WhichAddressTheEndpointSees) {
  EXPECT_FALSE(explain(From::outside).masquerade_as);
  auto balanced = explain(From::outside, "198.51.100.4", 0, "203.0.113.9");
  EXPECT_EQ(balanced.outcome, Outcome::forward);
  EXPECT_EQ(balanced.masquerade_as, at("192.0.2.1"));
  facts_.tcp_sockets = false;
  web().cluster = {0};
  EXPECT_EQ(explain(From::pod, "10.2.0.2").masquerade_as, at("192.0.2.1")) << "to itself";
  web().backends[0].address = at("192.0.2.1");
  EXPECT_FALSE(explain(From::outside, "198.51.100.4", 0, "203.0.113.9").masquerade_as) << "the reply comes from here";
  web().cluster = {1};
  web().forwarding = Forwarding::dsr;
  web().backends[1].node = at("192.0.2.2");
  auto wrapped = explain(From::outside, "198.51.100.4", 0, "203.0.113.9");
  EXPECT_EQ(wrapped.wrapped_to, at("192.0.2.2"));
  EXPECT_FALSE(wrapped.masquerade_as);
  facts_.masquerade = {};
  web().forwarding = Forwarding::snat;
  EXPECT_EQ(explain(From::outside, "198.51.100.4", 0, "203.0.113.9").outcome, Outcome::drop);
}

}  // namespace
}  // namespace keelson::dataplane
