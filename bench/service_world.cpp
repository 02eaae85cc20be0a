// SPDX-License-Identifier: Apache-2.0
// service_world.h by ip(8); servers get their sockets from the parent, so that they listen when it goes on.
#include "bench/service_world.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <thread>
#include <vector>

#include "common/fd.h"

namespace keelson::bench {
namespace {

// $P: the prefix of the namespaces' names.
constexpr const char* kTopology = R"(
set -e
for n in node caller client pod1 pod2; do
  ip netns add $P$n
  ip netns exec $P$n sh -c 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6'
  ip -n $P$n link set lo up
done
ip -n ${P}node link add eth0 type veth peer name eth0 netns ${P}client
ip -n ${P}node address add 10.1.0.1/24 dev eth0
ip -n ${P}node link set eth0 up
ip -n ${P}client address add 10.1.0.3/24 dev eth0
ip -n ${P}client link set eth0 up
ip -n ${P}client route add default via 10.1.0.1
ip -n ${P}node route add default via 10.1.0.3
ip netns exec ${P}node sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
for n in caller:10 pod1:1 pod2:2; do
  pod=${n%:*} address=10.244.0.${n#*:}
  ip -n ${P}node link add $pod type veth peer name eth0 netns $P$pod
  ip -n ${P}node address add 169.254.1.1/32 dev $pod
  ip -n ${P}node link set $pod up
  ip -n $P$pod link set eth0 up
  ip -n $P$pod address add $address/32 dev eth0
  ip -n $P$pod route add 169.254.1.1 dev eth0
  ip -n $P$pod route add default via 169.254.1.1 dev eth0
  ip -n ${P}node route add $address dev $pod
  ip -n ${P}node neighbour add $address lladdr $(ip netns exec $P$pod cat /sys/class/net/eth0/address) dev $pod nud permanent
done
)";

Result<Fd> server_socket(const std::string& netns, const char* address, int type) {
  KEELSON_TRY(auto guard, NetnsGuard::enter(netns));
  Fd fd(::socket(AF_INET, type, 0));  // inherited by the servers
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(kServerPort);
  inet_pton(AF_INET, address, &at.sin_addr);
  if (!fd || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
      (type == SOCK_STREAM && ::listen(fd.get(), 128) != 0)) {
    return fail_errno(errno, "listen at {} in {}", address, netns);
  }
  return fd;
}

void serve_connections(int listener) {
  for (;;) {
    Fd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    char byte = 0;
    while (connection && ::recv(connection.get(), &byte, 1, 0) == 1 &&
           ::send(connection.get(), &byte, 1, MSG_NOSIGNAL) == 1 && byte != kLastByte) {
    }
  }
}

void serve_datagrams(int socket) {
  for (;;) {
    char buffer[64];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    auto length = ::recvfrom(socket, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (length > 0) {
      ::sendto(socket, buffer, static_cast<size_t>(length), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&from), size);
    }
  }
}

}  // namespace

CoreGuard::CoreGuard(int core) {
  ::sched_getaffinity(0, sizeof before_, &before_);
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) {
    fmt::print(stderr, "bench: not pinned to core {}: {}\n", core, std::strerror(errno));
  }
}

CoreGuard::~CoreGuard() {
  ::sched_setaffinity(0, sizeof before_, &before_);
}

void serve(int core, const std::vector<int>& sockets) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  CoreGuard pinned(core);
  std::vector<std::jthread> threads;
  for (int socket : sockets) {
    int type = 0;
    socklen_t size = sizeof type;
    ::getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size);
    threads.emplace_back(type == SOCK_STREAM ? serve_connections : serve_datagrams, socket);
  }
  for (;;) {
    ::pause();
  }
}

Result<ServiceWorld> ServiceWorld::make(std::string name, int core) {
  ServiceWorld world(std::move(name));
  auto made = testing::run({"sh", "-c", fmt::format("P={}-\n{}", world.name_, kTopology)});
  if (made.code != 0) {
    return fail(Kind::internal, "make the namespaces of {}: {}", world.name_, made.error);
  }
  std::vector<Fd> sockets;
  std::vector<std::string> command = {"/proc/self/exe", "--serve", std::to_string(core)};
  for (int pod : {0, 1}) {
    for (int type : {SOCK_STREAM, SOCK_DGRAM}) {
      KEELSON_TRY(auto socket, server_socket(world.netns(fmt::format("pod{}", pod + 1)), kPodAddresses[pod], type));
      command.push_back(std::to_string(socket.get()));
      sockets.push_back(std::move(socket));
    }
  }
  world.servers_ = testing::Background(command, "/dev/null");
  if (world.servers_.pid() < 0) {
    return fail(Kind::internal, "start the servers");
  }
  return world;
}

ServiceWorld::ServiceWorld(ServiceWorld&& other) noexcept
    : name_(std::exchange(other.name_, "")), servers_(std::move(other.servers_)) {}

ServiceWorld::~ServiceWorld() {
  if (name_.empty()) {
    return;
  }
  servers_.kill();
  for (const char* part : {"node", "caller", "client", "pod1", "pod2"}) {
    testing::run({"ip", "netns", "delete", name_ + "-" + part});
  }
}

}  // namespace keelson::bench
