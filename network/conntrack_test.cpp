// SPDX-License-Identifier: Apache-2.0
// The ports of masqueraded flows while two translate on one node: nf_conntrack by a rule of iptables, and our programs.
#include "network/conntrack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <set>

#include "common/fd.h"
#include "ebpf/testing.h"
#include "network/hand_over.h"

namespace keelson::network {
namespace {

using dataplane::Protocol;
using ebpf::testing::SmallNet;
using ebpf::testing::Socket;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint16_t kFirst = 20000, kPorts = 4;

ebpf::SocketAddress at(const std::string& address, uint16_t port) {
  return {*dataplane::Address::parse(address), port};
}

/// The client reaches other's 10.3.0.1:8080 through the node. The stack masquerades with one of four ports what is sent
/// there; our programs, with the same four, what is sent to the service 10.96.0.1:80.
class ConntrackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = ebpf::testing::why_not(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    if (::access("/usr/sbin/iptables", X_OK) != 0) {
      GTEST_SKIP() << "SKIP: needs iptables";
    }
    net_.emplace();
    net_->in("node", "iptables -t nat -A POSTROUTING -p tcp --dport 8080 -j MASQUERADE --to-ports 20000-20003");
    net_->in("client", "ip route add 10.3.0.0/16 via 10.1.0.1");
    inside_.emplace(net_->enter("node"));
    listener_.emplace(Socket::tcp(*net_, "other"));
    listener_->bind("10.3.0.1", 8080);
    listener_->listen();
  }
  void TearDown() override {
    programs_.reset();
    inside_.reset();
    if (!pins_.empty()) {
      EXPECT_TRUE(ebpf::Programs::remove(pins_));
      std::filesystem::remove(pins_);
    }
  }

  void route() {
    pins_ = "/sys/fs/bpf/keelson-conntrack-" + std::to_string(getpid());
    auto programs = ebpf::Programs::load(
        {.pin_folder = pins_,
         .sizes = {
             .frontends = 64, .services = 64, .slots = 64, .backends = 64, .connections4 = 4096, .connections6 = 64}});
    ASSERT_TRUE(programs) << programs.error().message();
    programs_.emplace(std::move(*programs));
    ebpf::NodeSettings settings{.nat_port_first = kFirst, .nat_port_count = kPorts};
    settings.masquerade4 = node_;
    settings.leave_strangers = true;
    ASSERT_TRUE(programs_->configure(settings));
    auto web = ebpf::testing::service(Protocol::tcp, "10.96.0.1", {"10.3.0.1"});
    web.frontends[0].uses[static_cast<size_t>(dataplane::From::outside)].masquerade = true;
    model_.services[{"web"}] = web;
    auto tables = ebpf::Tables::open(programs_->table_maps());
    ASSERT_TRUE(tables->adopt(model_, std::chrono::steady_clock::now()).empty());
    ASSERT_TRUE(programs_->attach_link(net_->ifindex("node", "eth0"), ebpf::LinkKind::uplink, false));
  }

  struct Conversation {
    Socket client, server;
    uint16_t port = 0;  // as the server sees it
    bool goes_on() {
      return client.send("question") == 0 && server.receive() == "question" && server.send("answer") == 0 &&
             client.receive() == "answer";
    }
  };
  std::optional<Conversation> open(const std::string& address, uint16_t port, int patience) {
    auto client = Socket::tcp(*net_, "client");
    if (client.connect(address, port, patience) != 0) {
      return std::nullopt;
    }
    std::string from;
    auto server = listener_->accept(&from);
    if (!server) {
      return std::nullopt;
    }
    return Conversation{std::move(client), std::move(*server),
                        static_cast<uint16_t>(std::stoi(from.substr(from.rfind(':') + 1)))};
  }
  std::optional<Conversation> by_stack(int patience = Socket::kPatience) { return open("10.3.0.1", 8080, patience); }
  std::optional<Conversation> by_us(int patience = Socket::kPatience) { return open("10.96.0.1", 80, patience); }

  std::optional<SmallNet> net_;
  std::optional<NetnsGuard> inside_;
  std::optional<Socket> listener_;
  std::string pins_;
  std::optional<ebpf::Programs> programs_;
  dataplane::Model model_;
  const dataplane::Address node_ = *dataplane::Address::parse("10.1.0.1");
};

TEST_F(ConntrackTest, ThePortsThatTheStackHasGivenAreTold) {
  auto conntrack = Conntrack::open();
  ASSERT_TRUE(conntrack) << conntrack.error().message();
  auto none = conntrack->masqueraded();
  ASSERT_TRUE(none) << none.error().message();
  EXPECT_THAT(*none, IsEmpty());
  auto flow = by_stack();
  ASSERT_TRUE(flow && flow->goes_on());
  MasqueradePort wanted{Protocol::tcp, at("10.3.0.1", 8080), at("10.1.0.1", flow->port),
                        ebpf::ConnectionState::established};
  EXPECT_THAT(*conntrack->masqueraded(), ElementsAre(wanted));
}

TEST_F(ConntrackTest, TheStackGivesNoPortThatIsHeld) {
  auto conntrack = Conntrack::open();
  ASSERT_TRUE(conntrack);
  std::vector<MasqueradePort> ports;
  for (uint16_t i = 0; i < kPorts - 1; i++) {
    ports.push_back({Protocol::tcp, at("10.3.0.1", 8080), at("10.1.0.1", kFirst + i)});
  }
  for (int again = 0; again < 2; again++) {
    auto held = conntrack->hold(ports, std::chrono::minutes(1));
    ASSERT_TRUE(held) << held.error().message();
  }
  auto flow = by_stack();
  ASSERT_TRUE(flow);
  EXPECT_EQ(flow->port, kFirst + kPorts - 1);
  EXPECT_FALSE(by_stack(Socket::kSilence)) << "all ports are taken";
}

TEST_F(ConntrackTest, OurFlowsGetNoPortOfTheStacksAndItsConnectionGoesOn) {
  auto theirs = by_stack();
  ASSERT_TRUE(theirs && theirs->goes_on());
  route();
  auto kept = keep_stack_ports(*programs_, model_, {node_, {}});
  ASSERT_TRUE(kept) << kept.error().message();
  EXPECT_EQ(*kept, 1u);
  EXPECT_TRUE(theirs->goes_on());
  std::vector<Conversation> ours;
  std::set<uint16_t> ports;
  for (int i = 0; i < kPorts - 1; i++) {
    auto one = by_us();
    ASSERT_TRUE(one && one->goes_on()) << i;
    ports.insert(one->port);
    ours.push_back(std::move(*one));
  }
  EXPECT_EQ(ports.size(), kPorts - 1u);
  EXPECT_FALSE(ports.contains(theirs->port));
  EXPECT_FALSE(by_us(Socket::kSilence)) << "all ports are taken";
  EXPECT_TRUE(theirs->goes_on());
  // Ours are counted, theirs is not.
  auto flows = open_flows(*programs_);
  ASSERT_TRUE(flows) << flows.error().message();
  EXPECT_EQ(flows->count, kPorts - 1u);
  EXPECT_EQ(flows->ports.size(), kPorts - 1u);
}

TEST_F(ConntrackTest, ThePortsOfOurFlowsAreHeldWhenTheStackTakesOver) {
  route();
  std::vector<Conversation> ours;
  std::set<uint16_t> ports;
  for (int i = 0; i < kPorts - 1; i++) {
    auto one = by_us();
    ASSERT_TRUE(one && one->goes_on()) << i;
    ports.insert(one->port);
    ours.push_back(std::move(*one));
  }
  auto flows = open_flows(*programs_);
  ASSERT_TRUE(flows);
  auto held = hold_ports(*flows);
  ASSERT_TRUE(held) << held.error().message();
  for (auto port : ports) {
    EXPECT_THAT(read_file("/proc/thread-self/net/nf_conntrack").value_or(""),
                HasSubstr(fmt::format("src=10.1.0.1 dst=10.3.0.1 sport={} dport=8080", port)));
  }
  auto theirs = by_stack();
  ASSERT_TRUE(theirs && theirs->goes_on());
  EXPECT_FALSE(ports.contains(theirs->port));
  EXPECT_FALSE(by_stack(Socket::kSilence)) << "all ports are taken";
  for (auto& one : ours) {
    EXPECT_TRUE(one.goes_on());
  }
}

}  // namespace
}  // namespace keelson::network
