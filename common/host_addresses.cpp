// SPDX-License-Identifier: Apache-2.0
#include "common/host_addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/fd.h"

namespace keelson {

std::string address_of_default_route(bool six) {
  // To addresses of no network (RFC 5737, RFC 3849), which only a default route leads to. A connected datagram socket
  // has chosen its route and its source, and has sent nothing.
  sockaddr_storage address{};
  auto* const four = reinterpret_cast<sockaddr_in*>(&address);
  auto* const sixth = reinterpret_cast<sockaddr_in6*>(&address);
  socklen_t size = six ? sizeof *sixth : sizeof *four;
  address.ss_family = six ? AF_INET6 : AF_INET;
  if (six) {
    sixth->sin6_port = htons(9);
    ::inet_pton(AF_INET6, "2001:db8::1", &sixth->sin6_addr);
  } else {
    four->sin_port = htons(9);
    ::inet_pton(AF_INET, "192.0.2.1", &four->sin_addr);
  }
  const Fd socket(::socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (!socket || ::connect(socket.get(), any, size) != 0 || ::getsockname(socket.get(), any, &size) != 0) {
    return {};
  }
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(address.ss_family, six ? static_cast<void*>(&sixth->sin6_addr) : &four->sin_addr, text, sizeof text);
  return text;
}

namespace {

struct LinkAddress {
  std::string text;
  bool six = false;
  bool of_link_alone = false;  // link-local
  bool reached = false;        // its link is up, and no loopback
};

std::vector<LinkAddress> link_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) < 0) {
    return {};
  }
  std::vector<LinkAddress> found;
  for (const auto* item = list; item != nullptr; item = item->ifa_next) {
    const int family = item->ifa_addr == nullptr ? AF_UNSPEC : item->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) {
      continue;
    }
    const auto& four = reinterpret_cast<const sockaddr_in*>(item->ifa_addr)->sin_addr;
    const auto& six = reinterpret_cast<const sockaddr_in6*>(item->ifa_addr)->sin6_addr;
    auto& address = found.emplace_back();
    address.six = family == AF_INET6;
    address.of_link_alone = address.six ? IN6_IS_ADDR_LINKLOCAL(&six) : ntohl(four.s_addr) >> 16 == 0xa9fe;
    address.reached = (item->ifa_flags & (IFF_LOOPBACK | IFF_UP)) == IFF_UP;
    char text[INET6_ADDRSTRLEN] = "";
    ::inet_ntop(family, address.six ? static_cast<const void*>(&six) : &four, text, sizeof text);
    address.text = text;
  }
  ::freeifaddrs(list);
  return found;
}

}  // namespace

std::vector<std::string> own_addresses() {
  std::vector<std::string> found;
  for (auto& address : link_addresses()) {
    found.push_back(std::move(address.text));
  }
  return found;
}

std::vector<std::string> host_addresses() {
  std::vector<std::string> four;
  std::vector<std::string> six;
  for (auto& address : link_addresses()) {
    if (address.reached && !address.of_link_alone) {
      (address.six ? six : four).push_back(std::move(address.text));
    }
  }
  four.insert(four.end(), six.begin(), six.end());
  return four;
}

}  // namespace keelson
