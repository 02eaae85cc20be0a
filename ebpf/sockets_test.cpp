// SPDX-License-Identifier: Apache-2.0
// Sockets of the node and of pods, with the programs on a cgroup: which are translated at the socket, and which are
// left to their packets.
#include "ebpf/node_links.h"
#include "ebpf/service_fixture.h"

namespace keelson::ebpf::testing {
namespace {

using dataplane::Protocol;

class SocketsTest : public ServiceFixture {
 protected:
  void SetUp() override {
    ServiceFixture::SetUp();
    if (!programs_) {
      return;
    }
    auto root = cgroup2_root();
    ASSERT_TRUE(root) << root.error().message();
    cgroup_ = *root + "/keelson-test-" + std::to_string(getpid());
    std::filesystem::create_directory(cgroup_);
    inside_.emplace(cgroup_);
    auto attached = programs_->attach_sockets(cgroup_);
    ASSERT_TRUE(attached) << attached.error().message();
  }
  void TearDown() override {
    if (inside_) {
      inside_.reset();
      std::filesystem::remove(cgroup_);
    }
    ServiceFixture::TearDown();
  }

  uint64_t translated() const { return programs_->counters()->at(KL_SOCKET_TRANSLATED); }
  // Sockets that the table of connected ones knows.
  size_t remembered() const {
    size_t rows = 0;
    uint64_t key = 0;
    for (bool more = bpf_map_get_next_key(programs_->map("connected"), nullptr, &key) == 0; more; rows++) {
      more = bpf_map_get_next_key(programs_->map("connected"), &key, &key) == 0;
    }
    return rows;
  }
  uint64_t cookie_of(const std::string& ns) const {
    auto guard = net_->enter(ns);
    return *netns_cookie();
  }

  static std::vector<std::string> endpoints(const std::string& only) {
    return only.empty() ? std::vector<std::string>{} : std::vector{only};
  }
  // A connected socket of `from`, when its service's only endpoint becomes another. `with`: the service by its
  // endpoint.
  template <class Service>
  void expect_to_leave_its_endpoint(const std::string& from, Service&& with) {
    SCOPED_TRACE(from);
    auto first = server("pod2", at().pod2, Protocol::udp), second = server("other", at().other, Protocol::udp);
    auto frontend = with(at().pod2).frontends[0].address.to_string();
    program({{"s", with(at().pod2)}});
    auto client = Socket::udp(*net_, from, v6());
    ASSERT_EQ(client.connect(frontend, 80), 0);
    client.send("1");
    ASSERT_EQ(first.receive(), "1");
    EXPECT_EQ(client.peer(), host(frontend) + ":80");
    program({{"s", with(at().other)}});
    std::string source;
    client.send("2");
    if (!second.receive(&source, Socket::kSilence)) {
      client.send("2");  // the first went while the neighbour's MAC address was asked for
      ASSERT_EQ(second.receive(&source), "2");
    }
    // The answer comes from whom it was sent to: a connected socket takes no other.
    auto address = v6() ? source.substr(1, source.rfind(']') - 1) : host_of(source);
    second.send_to("answer", address, static_cast<uint16_t>(std::stoi(source.substr(source.rfind(':') + 1))));
    EXPECT_EQ(client.receive(), "answer");
    EXPECT_TRUE(first.is_silent());
    program({{"s", with("")}});
    client.send("3");
    EXPECT_TRUE(second.is_silent());
  }

  std::string cgroup_;
  std::optional<CgroupGuard> inside_;
};

TEST_P(SocketsTest, AConnectedDatagramSocketLeavesAnEndpointThatIsGone) {
  for (const char* from : {"pod1", "node"}) {
    expect_to_leave_its_endpoint(
        from, [&](const std::string& endpoint) { return service(Protocol::udp, at().vip, endpoints(endpoint)); });
  }
  EXPECT_EQ(translated(), 0u);
}

TEST_P(SocketsTest, SoDoesOneThatIsConnectedToTheNodesOwnNodePort) {
  expect_to_leave_its_endpoint("node", [&](const std::string& endpoint) {
    auto result = service(Protocol::udp, at().node, endpoints(endpoint));
    result.frontends[0].kind = dataplane::FrontendKind::node_port;
    for (auto& use : result.frontends[0].uses) {
      use.masquerade = true;
    }
    return result;
  });
  EXPECT_EQ(translated(), 1u);
}

TEST_P(SocketsTest, AnEndpointThatLeftWhileNobodyLookedGetsNothing) {
  auto first = server("pod2", at().pod2, Protocol::udp), second = server("other", at().other, Protocol::udp);
  program({{"s", service(Protocol::udp, at().vip, {at().pod2})}});
  auto client = Socket::udp(*net_, "pod1", v6());
  ASSERT_EQ(client.connect(at().vip, 80), 0);
  client.send("1");
  ASSERT_EQ(first.receive(), "1");
  tables_.reset();
  programs_.reset();
  model_.services[{"s"}] = service(Protocol::udp, at().vip, {at().other});
  load();
  auto tables = Tables::open(programs_->table_maps());
  ASSERT_TRUE(tables);
  tables_.emplace(std::move(*tables));
  EXPECT_TRUE(tables_->adopt(model_, std::chrono::steady_clock::now()).empty());
  client.send("2");
  EXPECT_EQ(second.receive(), "2");
  EXPECT_TRUE(first.is_silent());
}

TEST_P(SocketsTest, TheNodesOwnNodePortsAreReachedByDatagrams) {
  auto listener = server("pod2", at().pod2, Protocol::udp);
  auto node_port = service(Protocol::udp, at().node, {at().pod2});
  node_port.frontends[0].kind = dataplane::FrontendKind::node_port;
  program({{"s", node_port}});
  auto client = Socket::udp(*net_, "node", v6());
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(client.send_to("question", at().node, 80), 0);
    EXPECT_EQ(listener.receive(), "question");
  }
  EXPECT_EQ(translated(), 3u);
}

TEST_P(SocketsTest, AConnectedSocketIsRememberedUntilItIsClosed) {
  auto listener = server("pod2", at().pod2);
  program({{"s", service(Protocol::tcp, at().vip, {at().pod2})}});
  auto first = Socket::tcp(*net_, "pod1", v6());
  ASSERT_EQ(first.connect(at().vip, 80), 0);
  {
    auto second = Socket::tcp(*net_, "pod1", v6());
    ASSERT_EQ(second.connect(at().vip, 80), 0);
    EXPECT_EQ(remembered(), 2u);
  }
  EXPECT_EQ(remembered(), 1u);
  EXPECT_EQ(first.peer(), host(at().vip) + ":80");
}

TEST_P(SocketsTest, SoIsOneThatTheTableHasNoRoomFor) {
  const kl_socket nothing{};
  for (uint64_t cookie = 1ull << 63; bpf_map_update_elem(programs_->map("connected"), &cookie, &nothing, 0) == 0;) {
    cookie++;
  }
  const auto full = remembered();
  ASSERT_GT(full, 1000u);
  auto listener = server("pod2", at().pod2);
  program({{"s", service(Protocol::tcp, at().vip, {at().pod2})}});
  auto client = Socket::tcp(*net_, "pod1", v6());
  ASSERT_EQ(client.connect(at().vip, 80), 0);
  EXPECT_EQ(client.peer(), host(at().vip) + ":80");
  EXPECT_EQ(remembered(), full);
}

TEST_P(SocketsTest, SocketsOfSomePodsAreLeftToTheirPackets) {
  auto listener = server("pod2", at().pod2);
  program({{"s", service(Protocol::tcp, at().vip, {at().pod2})}});
  auto from_pod = [&] { EXPECT_EQ(source_seen("pod1", at().vip, 80, listener), host(at().pod1)); };
  from_pod();
  EXPECT_EQ(translated(), 1u);
  settings_.left_netns = {cookie_of("pod1")};
  ASSERT_TRUE(programs_->configure(settings_));
  from_pod();
  EXPECT_EQ(translated(), 1u);
  settings_.left_netns = {cookie_of("pod2")};
  ASSERT_TRUE(programs_->configure(settings_));
  from_pod();
  EXPECT_EQ(translated(), 2u);
  settings_.left_netns.clear();
  settings_.node_sockets_only = true;
  ASSERT_TRUE(programs_->configure(settings_));
  from_pod();
  EXPECT_EQ(translated(), 2u);
  source_seen("node", at().vip, 80, listener);
  EXPECT_EQ(translated(), 3u);
}

INSTANTIATE_TEST_SUITE_P(Families, SocketsTest, ::testing::Values(false, true),
                         [](const auto& family) { return family.param ? "IPv6" : "IPv4"; });

}  // namespace
}  // namespace keelson::ebpf::testing
