// SPDX-License-Identifier: Apache-2.0
#include "tests/services/world.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "ebpf/node_links.h"
#include "ebpf/testing.h"

namespace keelson::services {
namespace {

std::string cgroup_path() {
  auto root = ebpf::cgroup2_root();
  EXPECT_TRUE(root) << root.error().message();
  return fmt::format("{}/kl-services-{}", *root, getpid());
}

// The second address is never a source by itself. ICMP errors are not rationed: many scenarios want them at once.
constexpr const char* kNode = R"(
ip address add 10.1.0.11/24 dev eth0
ip address add fd01::11/64 dev eth0 nodad preferred_lft 0
ip link set p2 mtu 1400
)";
constexpr const char* kNoRation = R"(
echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
echo 0 > /proc/sys/net/ipv6/icmp/ratelimit
)";
constexpr const char* kClient = R"(
for n in $(seq 101 140); do
  ip address add 10.1.0.$n/24 dev eth0
  ip address add fd01::$n/64 dev eth0 nodad
done
ip route add 203.0.113.0/24 via 10.1.0.1
ip -6 route add 2001:db8::/64 via fd01::1
)";
constexpr const char* kOther = R"(
echo 0 > /proc/sys/net/ipv4/ip_forward
echo 0 > /proc/sys/net/ipv6/conf/all/forwarding
ip route add 10.96.0.0/16 via 10.1.0.1
ip -6 route add fd96::/64 via fd01::1
ip route add 203.0.113.0/24 via 10.1.0.1
ip -6 route add 2001:db8::/64 via fd01::1
)";

struct Server {
  const char* netns;
  const char* name;
  const char* addresses[2];
};
constexpr Server kServers[] = {{"pod1", "pod1", {"10.2.0.1", "fd02::1"}},
                               {"pod2", "pod2", {"10.2.0.2", "fd02::2"}},
                               {"node", "node", {"10.1.0.1", "fd01::1"}},
                               {"other", "otherpod", {"10.3.0.1", "fd03::1"}}};

// The sender's address where a namespace has several; empty: the kernel chooses.
std::string source(const std::string& who, int family, int turn) {
  if (who == "otherpod") {
    return family == AF_INET ? "10.3.0.1" : "fd03::1";
  }
  if (who == "clients") {
    return fmt::format("{}{}", family == AF_INET ? "10.1.0." : "fd01::", 101 + turn);
  }
  if (who == "client") {
    return family == AF_INET ? "10.1.0.3" : "fd01::3";
  }
  return "";
}

}  // namespace

World::World() : maker_(cgroup_path()) {
  net_.in("node", kNode);
  net_.in("pod2", "ip link set eth0 mtu 1400");
  net_.in("client", kClient);
  net_.in("other", kOther);
  for (const char* name : {"node", "pod1", "pod2", "other", "client"}) {
    net_.in(name, kNoRation);
  }
  for (const auto& server : kServers) {
    auto guard = net_.enter(server.netns);
    for (const auto* address : server.addresses) {
      for (uint16_t port : {8080, 8081}) {
        servers_.listen(server.name, address, port);
      }
    }
  }
  servers_.run();
}

Fd World::socket(const std::string& who, int family, int type, int turn) {
  std::string place = who == "otherpod" ? "other" : who == "clients" ? "client" : who;
  bool seen = place == "node" || (pods_seen_ && place.starts_with("pod"));
  Fd made;
  if (seen) {
    made = maker_.make(netns(place), family, type);
  } else {
    auto guard = net_.enter(place);
    made.reset(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }
  if (auto from = source(who, family, turn); !from.empty()) {
    auto at = ebpf::testing::Sockaddr::of(from, 0);
    EXPECT_EQ(::bind(made.get(), at.get(), at.size), 0) << from;
  }
  return made;
}

std::string World::name_of(const std::string& address) {
  static const std::map<std::string, std::string> names = {
      {"10.2.0.1", "pod1"},      {"fd02::1", "pod1"},   {"10.2.0.2", "pod2"},     {"fd02::2", "pod2"},
      {"10.1.0.1", "node"},      {"10.1.0.11", "node"}, {"169.254.1.1", "node"},  {"fd01::1", "node"},
      {"fd01::11", "node"},      {"fe80::1", "node"},   {"10.1.0.2", "other"},    {"fd01::2", "other"},
      {"10.1.0.3", "client"},    {"fd01::3", "client"}, {"10.3.0.1", "otherpod"}, {"fd03::1", "otherpod"},
      {"127.0.0.1", "loopback"}, {"::1", "loopback"}};
  if (auto found = names.find(address); found != names.end()) {
    return found->second;
  }
  return address.starts_with("10.1.0.1") || address.starts_with("fd01::1") ? "client" : address;
}

}  // namespace keelson::services
