// SPDX-License-Identifier: Apache-2.0
// Flows of services that go on, or end, when what is below them changes: endpoints, rows, the daemon, the tables' form.
#include <cstring>
#include <filesystem>

#include "ebpf/services_fixture.h"

namespace keelson::ebpf::testing {
namespace {

using dataplane::Protocol;

TEST_P(ServicesTest, DatagramsLeaveAnEndpointThatIsGone) {
  auto first = server("pod2", at().pod2, Protocol::udp), second = server("other", at().other, Protocol::udp);
  program({{"s", service(Protocol::udp, at().vip, {at().pod2})}});
  auto client = Socket::udp(*net_, "pod1", v6());
  std::string from;
  client.send_to("1", at().vip, 80);
  ASSERT_EQ(first.receive(&from), "1");
  // The reply comes from whom it was sent to.
  auto [address, port] = std::pair(host_of(from), from.substr(from.rfind(':') + 1));
  if (v6()) {
    address = address.substr(1, address.size() - 2);
  }
  first.send_to("reply", address, static_cast<uint16_t>(std::stoi(port)));
  ASSERT_EQ(client.receive(&from), "reply");
  EXPECT_EQ(from, host(at().vip) + ":80");

  program({{"s", service(Protocol::udp, at().vip, {at().other})}});
  client.send_to("2", at().vip, 80);
  EXPECT_EQ(second.receive(), "2");
  EXPECT_TRUE(first.is_silent());
}

// As network/KUBE_PROXY.md says, and `keelson check` warns of.
TEST_P(ServicesTest, FiltersOfForwardedPacketsDoNotSeeWhatGoesToServices) {
  auto listener = server("pod2", at().pod2);
  program({{"s", service(Protocol::tcp, at().vip, {at().pod2})}});
  net_->in("node",
           "nft add table inet policies && "
           "nft 'add chain inet policies forward { type filter hook forward priority 0; policy drop; }'");
  EXPECT_EQ(source_seen("pod1", at().pod2, 8080, listener, Socket::kSilence), strerror(ETIMEDOUT));
  EXPECT_EQ(source_seen("pod1", at().vip, 80, listener), host(at().pod1));
}

TEST_P(ServicesTest, AnOpenConnectionOutlivesItsEndpointAndTheDaemon) {
  auto listener = server("other", at().other);
  program({{"s", service(Protocol::tcp, at().vip, {at().other})}});
  auto client = Socket::tcp(*net_, "pod1", v6());
  ASSERT_EQ(client.connect(at().vip, 80), 0);
  auto accepted = listener.accept();
  ASSERT_TRUE(accepted);
  program({{"s", service(Protocol::tcp, at().vip, {at().pod2})}});
  client.send("after the endpoint left");
  EXPECT_EQ(accepted->receive(), "after the endpoint left");

  tables_.reset();
  programs_.reset();
  client.send("with no daemon");
  EXPECT_EQ(accepted->receive(), "with no daemon");
  load();
  EXPECT_TRUE(programs_->adopted());
  client.send("with the next one");
  EXPECT_EQ(accepted->receive(), "with the next one");
  auto tables = Tables::open(programs_->table_maps());
  ASSERT_TRUE(tables);
  tables_.emplace(std::move(*tables));
  for (const auto& error : tables_->adopt(model_, std::chrono::steady_clock::now())) {
    ADD_FAILURE() << error.message();
  }
  for (const auto& line : tables_->differences()) {
    ADD_FAILURE() << line;
  }
  auto local = server("pod2", at().pod2);
  EXPECT_EQ(source_seen("pod1", at().vip, 80, local), host(at().pod1));
}

TEST_P(ServicesTest, AFlowWhoseRowsAreLostGoesOnWithItsBackend) {
  auto first = server("pod2", at().pod2), second = server("other", at().other);
  auto shared = service(Protocol::tcp, at().vip, {at().pod2, at().other});
  for (auto& use : shared.frontends[0].uses) {
    use.masquerade = true;
  }
  program({{"s", shared}});
  std::vector<Socket> clients, accepted;
  int to_first = 0;
  for (int i = 0; i < 12; i++) {
    auto& client = clients.emplace_back(Socket::tcp(*net_, "client", v6()));
    ASSERT_EQ(client.connect(at().vip, 80), 0);
    const int who = called(first, second);
    ASSERT_GE(who, 0);
    to_first += who == 0;
    accepted.push_back(*(who == 0 ? first : second).accept());
  }
  EXPECT_TRUE(to_first > 0 && to_first < 12) << "one in 2,000 by chance";
  forget_connections();
  for (int i = 0; i < 12; i++) {
    clients[i].send("still there?");
    EXPECT_EQ(accepted[i].receive(), "still there?") << i;
    accepted[i].send("yes");
    EXPECT_EQ(clients[i].receive(), "yes") << i;
  }
}

// Rows of another form: upgrade, and back.
TEST_P(ServicesTest, ConnectionsOutliveAnotherLayout) {
  auto listener = server("other", at().other), local = server("pod2", at().pod2);
  auto names = server("other", at().other, Protocol::udp);
  auto masqueraded = service(Protocol::tcp, at().external, {at().other});
  for (auto& use : masqueraded.frontends[0].uses) {
    use.masquerade = true;
  }
  auto limited = service(Protocol::tcp, at().vip, {at().pod2});
  limited.frontends[0].port = 81;
  limited.frontends[0].source_ranges = {*dataplane::Prefix::parse(v6() ? "fd02::/64" : "10.2.0.0/24")};
  program({{"s", service(Protocol::tcp, at().vip, {at().other})},
           {"u", service(Protocol::udp, at().vip, {at().other})},
           {"limited", limited},
           {"masqueraded", masqueraded}});
  auto direct = Socket::tcp(*net_, "pod1", v6()), outside = Socket::tcp(*net_, "client", v6());
  auto datagrams = Socket::udp(*net_, "pod1", v6());
  ASSERT_EQ(direct.connect(at().vip, 80), 0);
  auto accepted = listener.accept();
  ASSERT_EQ(outside.connect(at().external, 80), 0);
  auto masked = listener.accept();
  ASSERT_TRUE(accepted && masked);
  datagrams.send_to("first", at().vip, 80);
  std::string from;
  ASSERT_EQ(names.receive(&from), "first");
  auto all_go_on = [&](const std::string& when) {
    for (auto [client, server] : {std::pair(&direct, &*accepted), std::pair(&outside, &*masked)}) {
      EXPECT_EQ(server->send("from the server"), 0) << when;
      EXPECT_EQ(client->receive(), "from the server") << when;
      EXPECT_EQ(client->send("from the client"), 0) << when;
      EXPECT_EQ(server->receive(), "from the client") << when;
    }
    auto address = v6() ? at().pod1 : host_of(from);
    names.send_to("reply", address, static_cast<uint16_t>(std::stoi(from.substr(from.rfind(':') + 1))));
    EXPECT_EQ(datagrams.receive(), "reply") << when;
    EXPECT_EQ(source_seen("pod1", at().vip, 80, listener), host(at().pod1)) << when;
    EXPECT_EQ(source_seen("pod1", at().vip, 81, local), host(at().pod1)) << when;
    EXPECT_EQ(source_seen("client", at().vip, 81, local, Socket::kSilence), strerror(ETIMEDOUT)) << when;
    EXPECT_EQ(source_seen("client", at().external, 80, listener), host(at().node)) << when;
  };
  all_go_on("before");
  auto fresh = programs_->counters()->at(KL_FLOWS_NEW);
  tables_.reset();
  programs_.reset();
  auto helper = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "layout-next";
  for (int round = 0; round < 2; round++) {
    shell(helper.string() + " " + pins_);
    all_go_on("upgraded");
    load();
    EXPECT_TRUE(programs_->adopted());
    all_go_on("downgraded");
    // Three new flows for each look: none of those that were open has begun again.
    EXPECT_EQ(programs_->counters()->at(KL_FLOWS_NEW), fresh + 6 * (round + 1));
    auto tables = Tables::open(programs_->table_maps());
    ASSERT_TRUE(tables);
    EXPECT_TRUE(tables->adopt(model_, std::chrono::steady_clock::now()).empty());
    EXPECT_EQ(tables->differences(), std::vector<std::string>{});
    programs_.reset();
  }
  EXPECT_EQ(std::ranges::distance(std::filesystem::directory_iterator(pins_ + "/services")), 2)
      << "more than the links and one generation are pinned";
}

}  // namespace
}  // namespace keelson::ebpf::testing
