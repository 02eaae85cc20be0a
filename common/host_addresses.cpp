// SPDX-License-Identifier: Apache-2.0
#include "common/host_addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>

namespace keelson {

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
