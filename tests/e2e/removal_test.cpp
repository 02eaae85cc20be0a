// SPDX-License-Identifier: Apache-2.0
// Endpoints leave under load: once that is routed no new connection and no datagram reaches them, and connections that
// were open go on. By each way that packets take.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <list>
#include <optional>
#include <span>
#include <thread>

#include "common/fd.h"
#include "dataplane/packet/geneve.h"
#include "ebpf/programs.h"
#include "tests/support/connection_load.h"
#include "tests/support/network_daemon.h"

namespace keelson::testing {
namespace {

using ebpf::testing::CgroupGuard;
using ebpf::testing::SmallNet;
using ebpf::testing::Socket;
using namespace std::chrono_literals;

constexpr const char* kObjects = R"(
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  clusterIPs: [10.96.0.1]
  ports: [{name: http, port: 80, nodePort: 30080}, {name: dns, port: 53, nodePort: 30053, protocol: UDP}]
---
apiVersion: v1
kind: Node
metadata: {name: here}
status: {addresses: [{type: InternalIP, address: 10.1.0.1}]}
---
apiVersion: v1
kind: Node
metadata: {name: elsewhere}
status: {addresses: [{type: InternalIP, address: 10.1.0.2}]}
)";

// Endpoints of a slice are on one port: so packets tell of which it is. One endpoint is on this node, one is not.
constexpr std::array<uint16_t, 3> kSlices = {8080, 8081, 8082};
constexpr uint16_t kGeneve = 6081;
constexpr const char* kEndpoints =
    "{addresses: [10.2.0.2], nodeName: here}, {addresses: [10.3.0.1], nodeName: elsewhere}";
constexpr std::array kPlaces = {std::pair("pod2", "10.2.0.2"), std::pair("other", "10.3.0.1")};

std::string slice(uint16_t port, const std::string& endpoints) {
  return fmt::format(R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-{0}, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{name: http, port: {0}}}, {{name: dns, port: {0}, protocol: UDP}}]
endpoints: [{1}]
)",
                     port, endpoints);
}

/// What begins at the endpoints of each slice.
struct Arrivals {
  std::array<uint64_t, kSlices.size()> connections{}, datagrams{};
};

/// Sees the packets that come into a namespace.
class Tap {
 public:
  Tap(const SmallNet& net, const std::string& ns) {
    auto guard = net.enter(ns);
    fd_ = Fd(socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_IP)));
    int bytes = 16 << 20;
    EXPECT_EQ(setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes), 0) << strerror(errno);
  }
  /// Adds what has come since the last time.
  void read(Arrivals& arrivals) {
    std::array<uint8_t, 256> packet{};
    sockaddr_ll from{};
    socklen_t size = sizeof from;
    while (recvfrom(fd_.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&from), &size) > 0) {
      if (from.sll_pkttype != PACKET_OUTGOING) {
        count(arrivals, packet);
      }
      packet.fill(0);
    }
    tpacket_stats stats{};
    size = sizeof stats;
    EXPECT_EQ(getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &size), 0);
    EXPECT_EQ(stats.tp_drops, 0U) << "packets were not seen";
  }

 private:
  static void count(Arrivals& arrivals, std::span<const uint8_t, 256> packet) {
    iphdr ip;
    tcphdr tcp;  // UDP has its ports at the same place
    std::memcpy(&ip, packet.data(), sizeof ip);
    std::memcpy(&tcp, &packet[size_t{ip.ihl} * 4], sizeof tcp);
    auto port = ntohs(tcp.th_dport);
    if (ip.protocol == IPPROTO_UDP && port == kGeneve) {
      kl_outer4 outer;
      std::memcpy(&outer, packet.data(), sizeof outer);
      std::memcpy(&ip, &packet[sizeof outer], sizeof ip);
      std::memcpy(&tcp, &packet[sizeof outer + size_t{ip.ihl} * 4], sizeof tcp);
      port = ntohs(outer.port);
    }
    auto slice = std::ranges::find(kSlices, port) - kSlices.begin();
    if (slice == kSlices.size()) {
      return;
    }
    arrivals.connections[slice] += ip.protocol == IPPROTO_TCP && (tcp.th_flags & (TH_SYN | TH_ACK)) == TH_SYN;
    arrivals.datagrams[slice] += ip.protocol == IPPROTO_UDP;
  }

  Fd fd_;
};

/// How packets come to a service.
struct Way {
  const char* name;
  const char* from;
  const char* to;
  uint16_t tcp, udp;
  bool at_socket = false;
  std::vector<std::string> flags = {};
};
const Way kWays[] = {
    {"FromAPod", "pod1", "10.96.0.1", 80, 53},
    {"FromOutside", "client", "10.1.0.1", 30080, 30053},
    {"AtXdp", "client", "10.1.0.1", 30080, 30053, false, {"--xdp"}},
    {"ByAnotherNode", "client", "10.1.0.1", 0, 30053, false, {"--service-forwarding", "dsr"}},
    {"ByAnotherNodeAtXdp", "client", "10.1.0.1", 0, 30053, false, {"--service-forwarding", "dsr", "--xdp"}},
    {"AtSockets", "node", "10.96.0.1", 80, 53, true},
    {"AtSocketsOfNodePorts", "node", "127.0.0.1", 30080, 30053, true},
};

class RemovalTest : public ::testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    if (auto reason = NetworkDaemon::why_not(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    net_.emplace();
    net_->make_uplink_a_wire();
    daemon_.emplace(*net_);
    daemon_->apply("service.yaml", kObjects);
    for (auto port : kSlices) {
      daemon_->apply(fmt::format("slice-{}.yaml", port), slice(port, kEndpoints));
    }
    daemon_->start(GetParam().flags);
    for (const auto& [ns, address] : kPlaces) {
      taps_.emplace_back(*net_, ns);
      for (auto port : kSlices) {
        servers_.emplace_back(*net_, ns, address, port, daemon_->home());
      }
    }
    if (GetParam().tcp) {
      load_.emplace(*net_, GetParam().from, LoadSize{100, 100}, fmt::format("{} {}", GetParam().to, GetParam().tcp),
                    daemon_->home(), GetParam().at_socket ? daemon_->cgroup() : "");
    }
    std::optional<CgroupGuard> inside;
    if (GetParam().at_socket) {
      inside.emplace(daemon_->cgroup());
    }
    for (size_t i = 0; i < kDatagramSockets; i++) {
      sockets_.push_back(Socket::udp(*net_, GetParam().from));
      if (i % 2) {
        ASSERT_EQ(sockets_.back().connect(GetParam().to, GetParam().udp), 0);
      }
    }
  }
  void TearDown() override {
    if (!daemon_) {
      return;
    }
    daemon_->kill();
    EXPECT_TRUE(ebpf::Programs::remove(daemon_->pins()));
    std::filesystem::remove(daemon_->pins());
    if (HasFailure()) {
      std::fputs(daemon_->log().c_str(), stderr);
    }
  }

  /// Each socket sends one; the last ones begin when the test has come so far. The replies, if any, are errors.
  void send(size_t sockets) {
    for (size_t i = 0; i < sockets; i++) {
      i % 2 ? sockets_[i].send("x") : sockets_[i].send_to("x", GetParam().to, GetParam().udp);
    }
  }
  /// With load, until this is so.
  template <class Condition>
  void pass_until(const char* what, Condition&& condition) {
    for (auto end = std::chrono::steady_clock::now() + 120s; !condition();) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << what;
      send(begun_);
      std::this_thread::sleep_for(5ms);
      for (auto& tap : taps_) {
        tap.read(arrivals_);
      }
    }
  }
  /// Until each of these slices had so many more connections and datagrams.
  void pass(size_t first_slice, uint64_t connections, uint64_t datagrams) {
    arrivals_ = {};
    pass_until("packets of all endpoints", [&] {
      for (size_t i = first_slice; i < kSlices.size(); i++) {
        if ((GetParam().tcp && arrivals_.connections[i] < connections) || arrivals_.datagrams[i] < datagrams) {
          return false;
        }
      }
      return true;
    });
  }
  void expect_none_of(size_t slices) {
    for (size_t i = 0; i < slices; i++) {
      EXPECT_EQ(arrivals_.connections[i], 0U) << "new connections to the endpoints of slice " << i;
      EXPECT_EQ(arrivals_.datagrams[i], 0U) << "datagrams to the endpoints of slice " << i;
    }
  }

  static constexpr size_t kDatagramSockets = 90;
  std::optional<SmallNet> net_;
  std::optional<NetworkDaemon> daemon_;
  std::list<Tap> taps_;
  std::list<ConnectionServer> servers_;
  std::optional<ConnectionLoad> load_;
  std::vector<Socket> sockets_;
  size_t begun_ = kDatagramSockets / 3;
  Arrivals arrivals_;
};

TEST_P(RemovalTest, NothingNewReachesWhoHasLeft) {
  pass(0, 20, 100);

  daemon_->apply("slice-8080.yaml", slice(8080, ""));
  pass_until("the removal is routed", [&] { return daemon_->told(NetworkDaemon::kRouted) >= 2; });
  begun_ += kDatagramSockets / 3;
  pass(1, 50, 300);
  expect_none_of(1);

  daemon_->kill();
  daemon_->remove("slice-8081.yaml");
  pass(1, 10, 50);
  daemon_->launch(GetParam().flags);
  pass_until("the removal is routed", [&] { return daemon_->told(NetworkDaemon::kRouted) >= 1; });
  begun_ += kDatagramSockets / 3;
  pass(2, 50, 300);
  expect_none_of(2);
  if (load_) {
    EXPECT_EQ(load_->end(), "") << "connections that were open end in peace";
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, RemovalTest, ::testing::ValuesIn(kWays),
                         [](const auto& way) { return std::string(way.param.name); });

}  // namespace
}  // namespace keelson::testing
