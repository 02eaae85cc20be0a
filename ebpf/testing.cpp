// SPDX-License-Identifier: Apache-2.0
#include "ebpf/testing.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

#include "ebpf/node_links.h"

namespace keelson::ebpf::testing {
namespace {

constexpr long kBpffs = 0xcafe4a11;

bool wait_for(int fd, short events, int patience) {
  pollfd one{fd, events, 0};
  return poll(&one, 1, patience) == 1;
}

Fd new_socket(const SmallNet& net, const std::string& ns, bool v6, int type) {
  auto guard = net.enter(ns);
  Fd fd(socket(v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  EXPECT_TRUE(fd) << strerror(errno);
  int one = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  return fd;
}

// $P: the prefix of the namespaces' names.
const char* const kTopology = R"(
set -e
for n in lan node pod1 pod2 other client; do
  ip netns add $P$n
  ip -n $P$n link set lo up
  ip netns exec $P$n sh -c 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad'
done
ip -n ${P}lan link add br0 type bridge
ip -n ${P}lan link set br0 up
for n in node:1 other:2 client:3; do
  host=${n%:*}; number=${n#*:}
  ip -n ${P}lan link add $host type veth peer name eth0 netns $P$host
  ip -n ${P}lan link set $host master br0 up
  ip -n $P$host address add 10.1.0.$number/24 dev eth0
  ip -n $P$host address add fd01::$number/64 dev eth0 nodad
  ip -n $P$host link set eth0 up
done
ip netns exec ${P}node sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'
for n in 1 2; do
  ip -n ${P}node link add p$n type veth peer name eth0 netns ${P}pod$n
  ip -n ${P}node address add 169.254.1.1/32 dev p$n
  ip -n ${P}node address add fe80::1/64 dev p$n nodad
  ip -n ${P}node link set p$n up
  ip -n ${P}pod$n link set eth0 up
  ip -n ${P}pod$n address add 10.2.0.$n/32 dev eth0
  ip -n ${P}pod$n address add fd02::$n/128 dev eth0 nodad
  ip -n ${P}pod$n route add 169.254.1.1 dev eth0
  ip -n ${P}pod$n route add default via 169.254.1.1 dev eth0
  ip -n ${P}pod$n -6 route add default via fe80::1 dev eth0
  ip -n ${P}node route add 10.2.0.$n dev p$n
  ip -n ${P}node -6 route add fd02::$n dev p$n
  mac=$(ip netns exec ${P}pod$n cat /sys/class/net/eth0/address)
  ip -n ${P}node neighbour add 10.2.0.$n lladdr $mac dev p$n nud permanent
  ip -n ${P}node neighbour add fd02::$n lladdr $mac dev p$n nud permanent
done
ip -n ${P}other address add 10.3.0.1/32 dev lo
ip -n ${P}other address add fd03::1/128 dev lo nodad
ip -n ${P}node route add 10.3.0.1 via 10.1.0.2
ip -n ${P}node -6 route add fd03::1 via fd01::2
ip -n ${P}node route add default via 10.1.0.2
ip -n ${P}node -6 route add default via fd01::2
for n in other client; do
  ip -n $P$n route add 10.2.0.0/24 via 10.1.0.1
  ip -n $P$n -6 route add fd02::/64 via fd01::1
done
ip -n ${P}client route add 10.96.0.0/16 via 10.1.0.1
ip -n ${P}client -6 route add fd96::/64 via fd01::1
)";

}  // namespace

std::string why_not() {
  if (geteuid() != 0) {
    return "needs root";
  }
  if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SCHED_CLS, nullptr) != 1) {
    return "needs bpf(2)";
  }
  struct statfs info{};
  if (statfs("/sys/fs/bpf", &info) != 0) {
    return "needs /sys/fs/bpf";
  }
  if (info.f_type != kBpffs && mount("bpf", "/sys/fs/bpf", "bpf", 0, nullptr) != 0) {
    return "cannot mount a bpffs";
  }
  return "";
}

void shell(const std::string& script) {
  int status = system(("exec 2>&1; " + script).c_str());
  ASSERT_EQ(status, 0) << script;
}

SmallNet::SmallNet() : prefix_("kl" + std::to_string(getpid()) + "-") {
  shell("P=" + prefix_ + "\n" + kTopology);
}

SmallNet::~SmallNet() {
  for (const char* name : {"lan", "node", "pod1", "pod2", "other", "client"}) {
    shell("ip netns delete " + prefix_ + name);
  }
}

NetnsGuard SmallNet::enter(const std::string& name) const {
  auto guard = NetnsGuard::enter(path(name));
  if (!guard) {
    ADD_FAILURE() << guard.error().message();
    std::abort();
  }
  return std::move(*guard);
}

void SmallNet::in(const std::string& name, const std::string& script) const {
  auto guard = enter(name);
  shell(script);
}

int SmallNet::ifindex(const std::string& name, const std::string& link) const {
  auto guard = enter(name);
  return static_cast<int>(if_nametoindex(link.c_str()));
}

void SmallNet::make_uplink_a_wire() const {
  for (const char* name : {"node", "other", "client"}) {
    auto guard = enter(name);
    Fd control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ethtool_value off{.cmd = ETHTOOL_STXCSUM, .data = 0};
    ifreq request{};
    std::strcpy(request.ifr_name, "eth0");
    request.ifr_data = reinterpret_cast<char*>(&off);
    ASSERT_EQ(ioctl(control.get(), SIOCETHTOOL, &request), 0) << strerror(errno);
  }
  auto guard = enter("lan");
  const bpf_insn pass[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = XDP_PASS},
                           {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  Fd program(bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, 2, nullptr));
  ASSERT_TRUE(program) << strerror(errno);
  ASSERT_EQ(bpf_xdp_attach(static_cast<int>(if_nametoindex("node")), program.get(), XDP_FLAGS_DRV_MODE, nullptr), 0);
}

namespace {

void move_to_cgroup(const std::string& cgroup) {
  std::ofstream file(cgroup + "/cgroup.procs");
  file << getpid() << std::flush;
  EXPECT_TRUE(file) << cgroup;
}

// Below the root of cgroup v2; "0::" is the line of that.
std::string own_cgroup() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("0::")) {
      return line.substr(3);
    }
  }
  return "/";
}

}  // namespace

CgroupGuard::CgroupGuard(const std::string& cgroup) : home_(cgroup2_root().value() + own_cgroup()) {
  move_to_cgroup(cgroup);
}
CgroupGuard::~CgroupGuard() {
  move_to_cgroup(home_);
}

Sockaddr Sockaddr::of(const std::string& address, uint16_t port) {
  Sockaddr result;
  if (is_v6(address)) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(result.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr);
    result.size = sizeof v6;
  } else {
    auto& v4 = reinterpret_cast<sockaddr_in&>(result.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    inet_pton(AF_INET, address.c_str(), &v4.sin_addr);
    result.size = sizeof v4;
  }
  return result;
}

std::string Sockaddr::host() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(storage).sin_addr, text, sizeof text);
  } else if (storage.ss_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr, text, sizeof text);
  }
  return text;
}

uint16_t Sockaddr::port() const {
  return ntohs(storage.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(storage).sin_port
                                            : reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
}

std::string Sockaddr::to_string() const {
  return (storage.ss_family == AF_INET6 ? "[" + host() + "]" : host()) + ":" + std::to_string(port());
}

std::string host_of(const std::string& endpoint) {
  return endpoint.substr(0, endpoint.rfind(':'));
}

Socket Socket::tcp(const SmallNet& net, const std::string& ns, bool v6) {
  return Socket(new_socket(net, ns, v6, SOCK_STREAM));
}
Socket Socket::udp(const SmallNet& net, const std::string& ns, bool v6) {
  return Socket(new_socket(net, ns, v6, SOCK_DGRAM));
}

int Socket::connect(const std::string& address, uint16_t port, int patience) {
  auto to = Sockaddr::of(address, port);
  if (::connect(fd(), to.get(), to.size) == 0) {
    return 0;
  }
  if (errno != EINPROGRESS) {
    return errno;
  }
  if (!wait_for(fd(), POLLOUT, patience)) {
    return ETIMEDOUT;
  }
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

void Socket::bind(const std::string& address, uint16_t port) {
  auto at = Sockaddr::of(address, port);
  ASSERT_EQ(::bind(fd(), at.get(), at.size), 0) << address << " " << strerror(errno);
}

void Socket::listen() {
  ASSERT_EQ(::listen(fd(), 64), 0);
}

std::optional<Socket> Socket::accept(std::string* from) {
  if (!wait_for(fd(), POLLIN, kPatience)) {
    return std::nullopt;
  }
  Sockaddr peer;
  Fd accepted(accept4(fd(), peer.get(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!accepted) {
    return std::nullopt;
  }
  if (from) {
    *from = peer.to_string();
  }
  return Socket(std::move(accepted));
}

int Socket::send(const std::string& message) {
  const auto sent = send_some(message);
  return sent == message.size() ? 0 : sent > 0 ? EAGAIN : errno;
}

size_t Socket::send_some(const std::string& bytes) {
  const auto sent = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return sent < 0 ? 0 : static_cast<size_t>(sent);
}

int Socket::send_to(const std::string& message, const std::string& address, uint16_t port) {
  auto to = Sockaddr::of(address, port);
  return sendto(fd(), message.data(), message.size(), MSG_NOSIGNAL, to.get(), to.size) < 0 ? errno : 0;
}

std::optional<std::string> Socket::receive(std::string* from, int patience) {
  if (!wait_for(fd(), POLLIN, patience)) {
    return std::nullopt;
  }
  std::string buffer(65536, 0);
  Sockaddr peer;
  auto length = recvfrom(fd(), buffer.data(), buffer.size(), 0, peer.get(), &peer.size);
  if (length < 0) {
    return std::nullopt;
  }
  if (from) {
    *from = peer.to_string();
  }
  buffer.resize(length);
  return buffer;
}

std::string Socket::peer() const {
  Sockaddr peer;
  return getpeername(fd(), peer.get(), &peer.size) == 0 ? peer.to_string() : "";
}

dataplane::Service service(dataplane::Protocol protocol, const std::string& address,
                           const std::vector<std::string>& backends) {
  dataplane::Service result;
  result.protocol = protocol;
  for (const auto& backend : backends) {
    bool local = backend.starts_with("10.2.") || backend.starts_with("fd02:");
    result.backends.push_back({*dataplane::Address::parse(backend), 8080, local});
  }
  for (uint32_t i = 0; i < result.backends.size(); i++) {
    result.cluster.push_back(i);
    if (result.backends[i].local) {
      result.local.push_back(i);
    }
  }
  dataplane::Frontend frontend{.address = *dataplane::Address::parse(address), .port = 80};
  frontend.uses.fill({backends.empty() ? dataplane::Verdict::reject : dataplane::Verdict::cluster});
  result.frontends.push_back(frontend);
  return result;
}

}  // namespace keelson::ebpf::testing
