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

std::vector<std::string> own_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) < 0) {
    return {};
  }
  std::vector<std::string> found;
  for (const auto* item = list; item != nullptr; item = item->ifa_next) {
    const int family = item->ifa_addr == nullptr ? AF_UNSPEC : item->ifa_addr->sa_family;
    if (family == AF_INET || family == AF_INET6) {
      char text[INET6_ADDRSTRLEN] = "";
      const void* address = family == AF_INET
                                ? static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(item->ifa_addr)->sin_addr)
                                : &reinterpret_cast<sockaddr_in6*>(item->ifa_addr)->sin6_addr;
      ::inet_ntop(family, address, text, sizeof text);
      found.emplace_back(text);
    }
  }
  ::freeifaddrs(list);
  return found;
}

std::vector<std::string> host_addresses() {
  std::vector<std::string> four;
  std::vector<std::string> six;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) < 0) {
    return {};
  }
  for (auto* item = list; item != nullptr; item = item->ifa_next) {
    if (item->ifa_addr == nullptr || (item->ifa_flags & IFF_LOOPBACK) != 0 || (item->ifa_flags & IFF_UP) == 0) {
      continue;
    }
    char text[INET6_ADDRSTRLEN] = "";
    if (item->ifa_addr->sa_family == AF_INET) {
      const auto& address = reinterpret_cast<sockaddr_in*>(item->ifa_addr)->sin_addr;
      if ((ntohl(address.s_addr) >> 16) != 0xa9fe) {
        ::inet_ntop(AF_INET, &address, text, sizeof text);
        four.emplace_back(text);
      }
    } else if (item->ifa_addr->sa_family == AF_INET6) {
      const auto& address = reinterpret_cast<sockaddr_in6*>(item->ifa_addr)->sin6_addr;
      if (!IN6_IS_ADDR_LINKLOCAL(&address)) {
        ::inet_ntop(AF_INET6, &address, text, sizeof text);
        six.emplace_back(text);
      }
    }
  }
  ::freeifaddrs(list);
  four.insert(four.end(), six.begin(), six.end());
  return four;
}

}  // namespace keelson
