// SPDX-License-Identifier: Apache-2.0
// Flows from outside to endpoints of another node without masquerading: both nodes run the programs. The endpoints are
// processes of "other" itself.
#include <netinet/in.h>

#include "ebpf/service_fixture.h"

namespace keelson::ebpf::testing {
namespace {

using dataplane::Protocol;
using dataplane::Service;

class TunnelTest : public ServiceFixture {
 protected:
  void SetUp() override {
    ServiceFixture::SetUp();
    if (programs_) {
      load_other(true);
    }
  }
  void TearDown() override {
    other_.reset();
    if (!pins_.empty()) {
      EXPECT_TRUE(Programs::remove(pins_ + "-other"));
      std::filesystem::remove(pins_ + "-other");
    }
    ServiceFixture::TearDown();
  }

  std::string other_address() const { return v6() ? "fd01::2" : "10.1.0.2"; }

  void load_other(bool knows_node) {
    auto guard = net_->enter("other");
    if (!other_) {
      auto programs = Programs::load({.pin_folder = pins_ + "-other", .sizes = {1024, 256, 4096, 1024, 4096, 1024}});
      ASSERT_TRUE(programs) << programs.error().message();
      other_.emplace(std::move(*programs));
      auto attached = other_->attach_link(net_->ifindex("other", "eth0"), LinkKind::uplink, false);
      ASSERT_TRUE(attached) << attached.error().message();
    }
    NodeSettings settings;
    settings.masquerade4 = *dataplane::Address::parse("10.1.0.2");
    settings.masquerade6 = *dataplane::Address::parse("fd01::2");
    if (knows_node) {
      settings.nodes = {*dataplane::Address::parse(at().node)};
    }
    auto configured = other_->configure(settings);
    ASSERT_TRUE(configured) << configured.error().message();
  }

  Service direct(Protocol protocol) const {
    auto result = service(protocol, at().vip, {at().other});
    result.forwarding = dataplane::Forwarding::dsr;
    for (auto& use : result.frontends[0].uses) {
      use.masquerade = true;
    }
    result.backends[0].node = *dataplane::Address::parse(other_address());
    return result;
  }
  uint64_t count(const Programs& programs, kl_counter counter) const { return programs.counters()->at(counter); }

  std::optional<Programs> other_;
};

TEST_P(TunnelTest, TheServerSeesTheClientAndAnswersIt) {
  auto listener = server("other", at().other);
  program({{"s", direct(Protocol::tcp)}});
  for (int i = 0; i < 3; i++) {
    EXPECT_EQ(source_seen("client", at().vip, 80, listener), host(at().client));
  }
  EXPECT_GE(count(*programs_, KL_WRAPPED), 9u);
  // The last ones, which end connections, may be on their way.
  for (int i = 0; i < 500 && count(*programs_, KL_WRAPPED) != count(*other_, KL_UNWRAPPED); i++) {
    usleep(10'000);
  }
  EXPECT_EQ(count(*programs_, KL_WRAPPED), count(*other_, KL_UNWRAPPED));
  // A pod's flow is not from outside.
  EXPECT_EQ(source_seen("pod1", at().vip, 80, listener), host(at().node));
}

TEST_P(TunnelTest, AtXdp) {
  net_->make_uplink_a_wire();
  {
    auto inside = net_->enter("node");
    auto attached = programs_->attach_link(net_->ifindex("node", "eth0"), LinkKind::uplink, true);
    ASSERT_TRUE(attached) << attached.error().message();
  }
  auto listener = server("other", at().other);
  auto datagrams = server("other", at().other, Protocol::udp);
  program({{"s", direct(Protocol::tcp)}, {"u", direct(Protocol::udp)}});
  EXPECT_EQ(source_seen("client", at().vip, 80, listener), host(at().client));
  auto link = fmt::format("{}/services/links/link-{}-ingress", pins_, net_->ifindex("node", "eth0"));
  ASSERT_TRUE(std::filesystem::remove(link)) << link;
  for (int i = 0; i < 3; i++) {
    EXPECT_EQ(source_seen("client", at().vip, 80, listener), host(at().client)) << i;
  }
  auto client = Socket::udp(*net_, "client", v6());
  std::string from;
  client.send_to("question", at().vip, 80);
  EXPECT_EQ(datagrams.receive(&from), "question");
  EXPECT_EQ(host_of(from), host(at().client));
}

TEST_P(TunnelTest, RequestsLargerThanTheWay) {
  auto listener = server("other", at().other);
  program({{"s", direct(Protocol::tcp)}});
  auto client = Socket::tcp(*net_, "client", v6());
  ASSERT_EQ(client.connect(at().vip, 80), 0);
  auto accepted = listener.accept();
  ASSERT_TRUE(accepted);
  send_many(client, *accepted, 1'000'000);
  EXPECT_GE(count(*programs_, KL_TOO_BIG), 1u);
  int mtu = 0;
  socklen_t size = sizeof mtu;
  ASSERT_EQ(getsockopt(client.fd(), v6() ? IPPROTO_IPV6 : IPPROTO_IP, v6() ? IPV6_MTU : IP_MTU, &mtu, &size), 0);
  EXPECT_EQ(mtu, v6() ? 1500 - 80 : 1500 - 48);
}

TEST_P(TunnelTest, DatagramsAndTheirFragments) {
  auto listener = server("other", at().other, Protocol::udp);
  program({{"u", direct(Protocol::udp)}});
  auto client = Socket::udp(*net_, "client", v6());
  std::string from;
  client.send_to("question", at().vip, 80);
  ASSERT_EQ(listener.receive(&from), "question");
  EXPECT_EQ(host_of(from), host(at().client));
  std::string large(5000, 'x');
  client.send_to(large, at().vip, 80);  // whose first fragment tells the way's MTU
  auto first = listener.receive(nullptr, Socket::kSilence);
  if (!first) {
    client.send_to(large, at().vip, 80);
    first = listener.receive();
  }
  EXPECT_TRUE(first == large);
}

TEST_P(TunnelTest, AnErrorAboutItReachesTheClient) {
  program({{"u", direct(Protocol::udp)}});
  auto client = Socket::udp(*net_, "client", v6());
  ASSERT_EQ(client.connect(at().vip, 80), 0);
  client.send("anybody?");
  errno = 0;
  EXPECT_FALSE(client.receive());
  EXPECT_EQ(errno, ECONNREFUSED);
}

TEST_P(TunnelTest, OnlyKnownNodesAreBelieved) {
  auto listener = server("other", at().other);
  program({{"s", direct(Protocol::tcp)}});
  load_other(false);
  auto client = Socket::tcp(*net_, "client", v6());
  EXPECT_EQ(client.connect(at().vip, 80, Socket::kSilence), ETIMEDOUT);
  EXPECT_GE(count(*other_, KL_DROP_TUNNEL), 1u);
  EXPECT_EQ(count(*other_, KL_UNWRAPPED), 0u);
  load_other(true);
  EXPECT_EQ(source_seen("client", at().vip, 80, listener), host(at().client));
}

TEST_P(TunnelTest, WithoutTheNodesAddressItIsMasqueraded) {
  auto listener = server("other", at().other);
  auto unknown = direct(Protocol::tcp);
  unknown.backends[0].node = {};
  program({{"s", unknown}});
  EXPECT_EQ(source_seen("client", at().vip, 80, listener), host(at().node));
}

INSTANTIATE_TEST_SUITE_P(Families, TunnelTest, ::testing::Values(false, true),
                         [](const auto& family) { return family.param ? "IPv6" : "IPv4"; });

}  // namespace
}  // namespace keelson::ebpf::testing
