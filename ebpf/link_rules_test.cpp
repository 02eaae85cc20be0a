// SPDX-License-Identifier: Apache-2.0
// Which links are pods' (detectLocalMode BridgeInterface, InterfaceNamePrefix), with packets over real links: what
// comes by another veth comes from outside, and is masqueraded here.
#include "ebpf/node_links.h"
#include "ebpf/service_fixture.h"

namespace keelson::ebpf::testing {
namespace {

using dataplane::Protocol;

class LinkRulesTest : public ServiceFixture {
 protected:
  void sync(LinkRules rules) {
    auto inside = net_->enter("node");
    rules.uplinks = {"eth0"};
    auto netlink = Netlink::open();
    ASSERT_TRUE(netlink) << netlink.error().message();
    auto synced = sync_links(*programs_, *netlink, rules);
    ASSERT_TRUE(synced) << synced.error().message();
    EXPECT_EQ(*synced, 3u);
  }
  void program_all() {
    auto masqueraded = service(Protocol::tcp, at().vip, {at().other});
    masqueraded.frontends[0].uses[static_cast<size_t>(dataplane::From::outside)].masquerade = true;
    program({{"masqueraded", masqueraded}, {"kept", service(Protocol::tcp, at().external, {at().pod2})}});
  }
};

TEST_P(LinkRulesTest, PortsOfTheBridgeArePods) {
  net_->in("node", R"(
    mac=$(ip neighbour show 10.2.0.2 | awk '{print $5}')
    ip link add br0 type bridge
    ip address flush dev p2
    ip link set p2 master br0
    ip link set br0 up
    ip address add 169.254.1.1/32 dev br0
    ip address add fe80::1/64 dev br0 nodad
    ip route replace 10.2.0.2 dev br0
    ip -6 route replace fd02::2 dev br0
    ip neighbour replace 10.2.0.2 lladdr $mac dev br0 nud permanent
    ip neighbour replace fd02::2 lladdr $mac dev br0 nud permanent)");
  sync({.pod_bridge = "br0"});
  program_all();
  auto remote = server("other", at().other), behind = server("pod2", at().pod2);
  EXPECT_EQ(source_seen("pod2", at().vip, 80, remote), host(at().pod2)) << "by a port of the bridge";
  EXPECT_EQ(source_seen("pod1", at().vip, 80, remote), host(at().node)) << "by a veth of no bridge";
  EXPECT_EQ(source_seen("client", at().external, 80, behind), host(at().client)) << "to an endpoint behind the bridge";
}

TEST_P(LinkRulesTest, LinksWithThePrefixArePods) {
  sync({.pod_prefix = "p2"});
  program_all();
  auto remote = server("other", at().other);
  EXPECT_EQ(source_seen("pod2", at().vip, 80, remote), host(at().pod2));
  EXPECT_EQ(source_seen("pod1", at().vip, 80, remote), host(at().node)) << "of another name";
  sync({.pod_prefix = "p"});
  forget_connections();
  EXPECT_EQ(source_seen("pod1", at().vip, 80, remote), host(at().pod1));
}

INSTANTIATE_TEST_SUITE_P(Families, LinkRulesTest, ::testing::Bool(),
                         [](const auto& info) { return std::string(info.param ? "IPv6" : "IPv4"); });

}  // namespace
}  // namespace keelson::ebpf::testing
