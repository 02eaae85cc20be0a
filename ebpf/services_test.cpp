// SPDX-License-Identifier: Apache-2.0
// Services as clients see them: real packets through the programs, between network namespaces.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "ebpf/services_fixture.h"

namespace keelson::ebpf::testing {
namespace {

using dataplane::Protocol;
using dataplane::Verdict;

TEST_P(ServicesTest, APodReachesALocalPodAndKeepsItsAddress) {
  auto listener = server("pod2", at().pod2);
  program({{"s", service(Protocol::tcp, at().vip, {at().pod2})}});
  EXPECT_EQ(source_seen("pod1", at().vip, 80, listener), host(at().pod1));
}

// The replies of both have the same addresses and ports until one of them gets another port.
TEST_P(ServicesTest, ADirectConnectionBesideOneThroughTheServiceWithTheSamePorts) {
  auto listener = server("pod2", at().pod2);
  program({{"s", service(Protocol::tcp, at().vip, {at().pod2})}});
  auto routed = Socket::tcp(*net_, "pod1", v6()), direct = Socket::tcp(*net_, "pod1", v6());
  routed.bind(at().pod1, 41000);
  ASSERT_EQ(routed.connect(at().vip, 80), 0);
  auto first = listener.accept();
  ASSERT_TRUE(first);
  direct.bind(at().pod1, 41000);
  ASSERT_EQ(direct.connect(at().pod2, 8080), 0);
  auto second = listener.accept();
  ASSERT_TRUE(second);
  ASSERT_EQ(second->send("to the direct one"), 0);
  ASSERT_EQ(first->send("to the routed one"), 0);
  EXPECT_EQ(direct.receive(), "to the direct one");
  EXPECT_EQ(routed.receive(), "to the routed one");
}

TEST_P(ServicesTest, APodReachesAPodOfAnotherNode) {
  auto listener = server("other", at().other);
  program({{"s", service(Protocol::tcp, at().vip, {at().other})}});
  EXPECT_EQ(source_seen("pod1", at().vip, 80, listener), host(at().pod1));
}

TEST_P(ServicesTest, TheNodeItselfReachesThroughItsUplink) {
  auto local = server("pod2", at().pod2);
  program({{"s", service(Protocol::tcp, at().vip, {at().pod2})}});
  EXPECT_EQ(source_seen("node", at().vip, 80, local), host(at().node));
}

TEST_P(ServicesTest, FromOutsideMasqueradedOrNot) {
  auto local = server("pod2", at().pod2);
  auto remote = server("other", at().other);
  auto masqueraded = service(Protocol::tcp, at().vip, {at().other});
  for (auto& use : masqueraded.frontends[0].uses) {
    use.masquerade = true;
  }
  auto kept = service(Protocol::tcp, at().external, {at().pod2, at().other});
  kept.frontends[0].uses[static_cast<size_t>(dataplane::From::outside)] = {Verdict::local};
  program({{"cluster", masqueraded}, {"local", kept}});
  EXPECT_EQ(source_seen("client", at().vip, 80, remote), host(at().node));
  EXPECT_EQ(source_seen("client", at().external, 80, local), host(at().client));
}

// A backend that closed a connection refuses some SYNs with the same ports for a minute.
TEST_P(ServicesTest, PortsOfEndedFlowsAreMasqueradedWithAgainOnlyWhenAllWereUsed) {
  auto remote = server("other", at().other);
  auto masqueraded = service(Protocol::tcp, at().vip, {at().other});
  masqueraded.frontends[0].uses[static_cast<size_t>(dataplane::From::outside)].masquerade = true;
  program({{"s", masqueraded}});
  settings_.nat_port_count = 16;
  ASSERT_TRUE(programs_->configure(settings_));
  std::set<std::string> sources;
  for (int i = 0; i < 17; i++) {
    auto client = Socket::tcp(*net_, "client", v6());
    ASSERT_EQ(client.connect(at().vip, 80), 0) << i;
    std::string from;
    auto accepted = remote.accept(&from);
    ASSERT_TRUE(accepted) << i;
    sources.insert(from);
    accepted.reset();
    EXPECT_EQ(client.receive(), "") << "closed";
  }
  EXPECT_EQ(sources.size(), 16u);
}

TEST_P(ServicesTest, LocalSourcesAreTakenForPods) {
  auto listener = server("pod2", at().pod2);
  auto wanted = service(Protocol::tcp, at().vip, {at().pod2});
  wanted.frontends[0].uses[static_cast<size_t>(dataplane::From::outside)].masquerade = true;
  program({{"s", wanted}});
  auto with = [&](const std::vector<std::string>& sources) {
    settings_.local_sources.clear();
    for (const auto& source : sources) {
      settings_.local_sources.push_back(*dataplane::Prefix::parse(source));
    }
    ASSERT_TRUE(programs_->configure(settings_));
    forget_connections();
  };
  const auto masqueraded = host(at().node), own = host(at().client);
  EXPECT_EQ(source_seen("client", at().vip, 80, listener), masqueraded) << "by its link";
  with({"10.1.0.0/24", "fd01::/64"});
  EXPECT_EQ(source_seen("client", at().vip, 80, listener), own);
  EXPECT_EQ(source_seen("pod1", at().vip, 80, listener), masqueraded) << "a pod's link, but not a pod's address";
  with({"10.2.0.0/16", "fd02::/16", "192.0.2.0/24"});
  EXPECT_EQ(source_seen("client", at().vip, 80, listener), masqueraded) << "the range is gone";
  EXPECT_EQ(source_seen("pod1", at().vip, 80, listener), host(at().pod1));
  with({v6() ? "10.3.0.0/16" : "fd03::/16"});
  EXPECT_EQ(source_seen("client", at().vip, 80, listener), masqueraded);
  EXPECT_EQ(source_seen("pod1", at().vip, 80, listener), host(at().pod1)) << "of the other family alone";
}

TEST_P(ServicesTest, FlowTimesAreThoseGiven) {
  settings_.times.udp = std::chrono::milliseconds(1);
  settings_.times.udp_stream = std::chrono::days(1000);
  ASSERT_TRUE(programs_->configure(settings_));
  uint32_t row = 0;
  kl_config config{};
  ASSERT_EQ(bpf_map_lookup_elem(programs_->map("config"), &row, &config), 0);
  EXPECT_EQ(config.timeout[0][KL_CT_NEW], 0u);
  EXPECT_EQ(config.timeout[0][KL_CT_ESTABLISHED], 1'647'949'218u) << "20 days";
  EXPECT_EQ(config.timeout[1][KL_CT_ESTABLISHED], 82'397'460u) << "24 h";
}

TEST_P(ServicesTest, APodThatReachesItselfIsMasqueraded) {
  auto listener = server("pod1", at().pod1);
  program({{"s", service(Protocol::tcp, at().vip, {at().pod1})}});
  EXPECT_EQ(source_seen("pod1", at().vip, 80, listener), host(at().node));
}

TEST_P(ServicesTest, WithoutEndpointsItIsRefused) {
  program({{"s", service(Protocol::tcp, at().vip, {})}, {"u", service(Protocol::udp, at().vip, {})}});
  for (const char* from : {"pod1", "client", "node"}) {
    auto client = Socket::tcp(*net_, from, v6());
    // The kernel drops an ICMP error that comes while connect() still holds the socket; the next SYN, after 1 s, gets
    // it.
    EXPECT_EQ(client.connect(at().vip, 80), ECONNREFUSED) << from;
    auto datagrams = Socket::udp(*net_, from, v6());
    ASSERT_EQ(datagrams.connect(at().vip, 80), 0);
    datagrams.send("anybody?");
    errno = 0;
    EXPECT_FALSE(datagrams.receive());
    EXPECT_EQ(errno, ECONNREFUSED) << from;
  }
}

TEST_P(ServicesTest, NothingLocalIsSilence) {
  auto only_local = service(Protocol::tcp, at().vip, {at().other});
  only_local.frontends[0].uses.fill({Verdict::drop});
  program({{"s", only_local}});
  auto client = Socket::tcp(*net_, "pod1", v6());
  EXPECT_EQ(client.connect(at().vip, 80, Socket::kSilence), ETIMEDOUT);
  EXPECT_GE(programs_->counters()->at(KL_DROP_NO_LOCAL), 1u);
}

TEST_P(ServicesTest, SourceRanges) {
  auto listener = server("pod2", at().pod2);
  auto limited = service(Protocol::tcp, at().vip, {at().pod2});
  limited.frontends[0].source_ranges = {*dataplane::Prefix::parse(v6() ? "fd02::/64" : "10.2.0.0/24")};
  program({{"s", limited}});
  EXPECT_EQ(source_seen("pod1", at().vip, 80, listener), host(at().pod1));
  EXPECT_EQ(source_seen("client", at().vip, 80, listener, Socket::kSilence), strerror(ETIMEDOUT));
}

TEST_P(ServicesTest, NewFlowsAreShared) {
  auto first = server("pod2", at().pod2), second = server("other", at().other);
  program({{"s", service(Protocol::tcp, at().vip, {at().pod2, at().other})}});
  int to_first = 0;
  for (int i = 0; i < 60; i++) {
    auto client = Socket::tcp(*net_, "pod1", v6());
    ASSERT_EQ(client.connect(at().vip, 80), 0);
  }
  for (int i = 0; i < 60; i++) {
    // Who has it is whose queue is not empty.
    fd_set ready;
    FD_ZERO(&ready);
    FD_SET(first.fd(), &ready);
    timeval none{0, 0};
    if (select(first.fd() + 1, &ready, nullptr, nullptr, &none) != 1) {
      break;
    }
    ASSERT_TRUE(first.accept());
    to_first++;
  }
  EXPECT_GT(to_first, 12);  // Of 60 fair tosses less than 13 or more than 47: one in 400,000.
  EXPECT_LT(to_first, 48);
  EXPECT_EQ(tables_->new_flows({"s"}), 60u);
}

TEST_P(ServicesTest, AffinityKeepsTheBackendUntilItLeaves) {
  auto first = server("pod2", at().pod2), second = server("other", at().other);
  auto sticky = service(Protocol::tcp, at().vip, {at().pod2, at().other});
  sticky.affinity_seconds = 100;
  program({{"s", sticky}});
  auto who = [&] {
    auto client = Socket::tcp(*net_, "pod1", v6());
    EXPECT_EQ(client.connect(at().vip, 80), 0);
    const int taken = called(first, second);
    EXPECT_TRUE((taken == 0 ? first : second).accept());
    return taken;
  };
  int chosen = who();
  for (int i = 0; i < 8; i++) {
    EXPECT_EQ(who(), chosen);
  }
  auto rest = service(Protocol::tcp, at().vip, {chosen == 0 ? at().other : at().pod2});
  rest.affinity_seconds = 100;
  program({{"s", rest}});
  EXPECT_EQ(who(), 1 - chosen);
}

// One that terminates still serves, and is in no pool while others are ready. Maglev's pools are the large ones.
TEST_P(ServicesTest, AffinityLeavesAnEndpointThatTerminates) {
  auto first = server("pod2", at().pod2), second = server("other", at().other);
  auto sticky = service(Protocol::tcp, at().vip, {at().pod2, at().other});
  sticky.affinity_seconds = 100;
  sticky.algorithm = dataplane::Algorithm::maglev;
  program({{"s", sticky}});
  auto who = [&] {
    auto client = Socket::tcp(*net_, "pod1", v6());
    EXPECT_EQ(client.connect(at().vip, 80), 0);
    const int taken = called(first, second);
    EXPECT_TRUE((taken == 0 ? first : second).accept());
    return taken == 0 ? at().pod2 : at().other;
  };
  auto chosen = who();
  EXPECT_EQ(who(), chosen);
  std::erase_if(sticky.cluster, [&](auto place) { return sticky.backends[place].address.to_string() == chosen; });
  program({{"s", sticky}});
  EXPECT_EQ(who(), chosen == at().pod2 ? at().other : at().pod2);
}

TEST_P(ServicesTest, LargeDatagramsInFragments) {
  auto listener = server("other", at().other, Protocol::udp);
  program({{"s", service(Protocol::udp, at().vip, {at().other})}});
  auto client = Socket::udp(*net_, "pod1", v6());
  std::string large(5000, 'x');
  ASSERT_EQ(client.send_to(large, at().vip, 80), 0);
  EXPECT_EQ(listener.receive(), large);
}

TEST_P(ServicesTest, ManyBytesBothWays) {
  auto listener = server("pod2", at().pod2);
  program({{"s", service(Protocol::tcp, at().vip, {at().pod2})}});
  auto client = Socket::tcp(*net_, "client", v6());
  ASSERT_EQ(client.connect(at().vip, 80), 0);
  auto accepted = listener.accept();
  ASSERT_TRUE(accepted);
  send_many(client, *accepted, 3'000'000);
}

TEST_P(ServicesTest, AtXdpToAnotherNodeAndBack) {
  net_->make_uplink_a_wire();
  {
    auto inside = net_->enter("node");
    auto attached = programs_->attach_link(net_->ifindex("node", "eth0"), LinkKind::uplink, true);
    ASSERT_TRUE(attached) << attached.error().message();
  }
  auto listener = server("other", at().other);
  auto masqueraded = service(Protocol::tcp, at().vip, {at().other});
  for (auto& use : masqueraded.frontends[0].uses) {
    use.masquerade = true;
  }
  program({{"s", masqueraded}});
  // The first may have to ask for its neighbour's MAC address, which tc does.
  EXPECT_EQ(source_seen("client", at().vip, 80, listener), host(at().node));
  for (const char* hook : {"ingress", "egress"}) {
    auto link = fmt::format("{}/services/links/link-{}-{}", pins_, net_->ifindex("node", "eth0"), hook);
    ASSERT_TRUE(std::filesystem::remove(link)) << link;
  }
  for (int i = 0; i < 5; i++) {
    EXPECT_EQ(source_seen("client", at().vip, 80, listener), host(at().node)) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, ServicesTest, ::testing::Values(false, true),
                         [](const auto& family) { return family.param ? "IPv6" : "IPv4"; });

}  // namespace
}  // namespace keelson::ebpf::testing
