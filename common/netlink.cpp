// SPDX-License-Identifier: Apache-2.0
// rtnetlink messages by libnl.
#include "common/netlink.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/socket.h>

#include <cstdio>

#include "common/netlink_message.h"

namespace keelson {

struct Netlink::Socket {
  nl_sock* handle = nullptr;
  ~Socket() { nl_socket_free(handle); }
};

namespace {

using namespace rtnetlink;

struct IpAddress {
  int family = AF_INET;
  unsigned char bytes[16] = {};
  int size() const { return family == AF_INET ? 4 : 16; }
};

Result<IpAddress> parse_address(const std::string& text) {
  IpAddress address;
  address.family = text.find(':') == std::string::npos ? AF_INET : AF_INET6;
  if (::inet_pton(address.family, text.c_str(), address.bytes) != 1) {
    return fail(Kind::invalid, "'{}' is not an IP address", text);
  }
  return address;
}

std::string format_address(int family, const void* bytes) {
  char text[INET6_ADDRSTRLEN] = "";
  return ::inet_ntop(family, bytes, text, sizeof text);
}

/// Six bytes, or nothing for an empty text.
void put_mac(nl_msg* message, int attribute, const std::string& mac) {
  unsigned char bytes[6];
  if (std::sscanf(mac.c_str(), "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4],
                  &bytes[5]) == 6) {
    nla_put(message, attribute, sizeof bytes, bytes);
  }
}

Link read_link(nlmsghdr* header) {
  auto* info = static_cast<ifinfomsg*>(nlmsg_data(header));
  Link link;
  link.index = {info->ifi_index};
  link.up = (info->ifi_flags & IFF_UP) != 0;
  nlattr* attributes[IFLA_MAX + 1] = {};
  nlmsg_parse(header, sizeof *info, attributes, IFLA_MAX, nullptr);
  if (attributes[IFLA_IFNAME] != nullptr) {
    link.name = nla_get_string(attributes[IFLA_IFNAME]);
  }
  if (attributes[IFLA_MASTER] != nullptr) {
    link.master.value = static_cast<int>(nla_get_u32(attributes[IFLA_MASTER]));
  }
  if (attributes[IFLA_MTU] != nullptr) {
    link.mtu = static_cast<int>(nla_get_u32(attributes[IFLA_MTU]));
  }
  if (auto* mac = attributes[IFLA_ADDRESS]; mac != nullptr && nla_len(mac) == 6) {
    auto* bytes = static_cast<unsigned char*>(nla_data(mac));
    char text[18];
    std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
                  bytes[5]);
    link.mac = text;
  }
  if (auto* detail = attributes[IFLA_LINKINFO]; detail != nullptr) {
    nlattr* inner[IFLA_INFO_MAX + 1] = {};
    nla_parse_nested(inner, IFLA_INFO_MAX, detail, nullptr);
    if (inner[IFLA_INFO_KIND] != nullptr) {
      link.kind = nla_get_string(inner[IFLA_INFO_KIND]);
    }
  }
  return link;
}

}  // namespace

Netlink::Netlink(std::unique_ptr<Socket> socket) : socket_(std::move(socket)) {}
Netlink::Netlink(Netlink&&) noexcept = default;
Netlink& Netlink::operator=(Netlink&&) noexcept = default;
Netlink::~Netlink() = default;

Result<Netlink> Netlink::open() {
  auto socket = std::make_unique<Socket>();
  socket->handle = nl_socket_alloc();
  if (socket->handle == nullptr) {
    return fail_errno(ENOMEM, "make a netlink socket");
  }
  if (int error = nl_connect(socket->handle, NETLINK_ROUTE); error < 0) {
    return fail_netlink(error, "open a netlink socket");
  }
  return Netlink(std::move(socket));
}

Result<> Netlink::make_veth(const Veth& veth) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  ifinfomsg up{};
  up.ifi_family = AF_UNSPEC;
  up.ifi_flags = IFF_UP;
  up.ifi_change = IFF_UP;
  nlmsg_append(message.raw, &up, sizeof up, NLMSG_ALIGNTO);
  nla_put_string(message.raw, IFLA_IFNAME, veth.name.c_str());
  nla_put_u32(message.raw, IFLA_MTU, static_cast<uint32_t>(veth.mtu));
  put_mac(message.raw, IFLA_ADDRESS, veth.mac);
  nlattr* info = nla_nest_start(message.raw, IFLA_LINKINFO);
  nla_put_string(message.raw, IFLA_INFO_KIND, "veth");
  nlattr* data = nla_nest_start(message.raw, IFLA_INFO_DATA);
  nlattr* peer = nla_nest_start(message.raw, VETH_INFO_PEER);
  ifinfomsg plain{};
  nlmsg_append(message.raw, &plain, sizeof plain, NLMSG_ALIGNTO);
  nla_put_string(message.raw, IFLA_IFNAME, veth.peer_name.c_str());
  nla_put_u32(message.raw, IFLA_MTU, static_cast<uint32_t>(veth.mtu));
  put_mac(message.raw, IFLA_ADDRESS, veth.peer_mac);
  if (veth.peer_netns >= 0) {
    nla_put_u32(message.raw, IFLA_NET_NS_FD, static_cast<uint32_t>(veth.peer_netns));
  }
  nla_nest_end(message.raw, peer);
  nla_nest_end(message.raw, data);
  nla_nest_end(message.raw, info);
  return exchange(socket_->handle, message, fmt::format("make veth pair {} and {}", veth.name, veth.peer_name));
}

Result<Link> Netlink::find_link(Ifindex index) {
  Message message(RTM_GETLINK, 0);
  ifinfomsg info{};
  info.ifi_index = index.value;
  nlmsg_append(message.raw, &info, sizeof info, NLMSG_ALIGNTO);
  Link link;
  KEELSON_DO(ask(
      socket_->handle, message, [&](nlmsghdr* header) { link = read_link(header); },
      fmt::format("find link {}", index.value)));
  nl_wait_for_ack(socket_->handle);
  return link;
}

Result<Link> Netlink::find_link(const std::string& name) {
  Message message(RTM_GETLINK, 0);
  ifinfomsg info{};
  nlmsg_append(message.raw, &info, sizeof info, NLMSG_ALIGNTO);
  nla_put_string(message.raw, IFLA_IFNAME, name.c_str());
  Link link;
  KEELSON_DO(ask(socket_->handle, message, [&](nlmsghdr* header) { link = read_link(header); }, "find link " + name));
  // The request itself asks for an acknowledgement, which follows the object.
  nl_wait_for_ack(socket_->handle);
  return link;
}

Result<std::vector<Link>> Netlink::list_links() {
  std::vector<Link> links;
  KEELSON_DO(dump(
      socket_->handle, RTM_GETLINK, ifinfomsg{}, [&] { links.clear(); },
      [&](nlmsghdr* header) { links.push_back(read_link(header)); }, "list links"));
  return links;
}

Result<bool> Netlink::has_filters(Ifindex link) {
  bool any = false;
  for (uint32_t side : {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS}) {
    tcmsg where{};
    where.tcm_ifindex = link.value;
    where.tcm_parent = TC_H_MAKE(TC_H_CLSACT, side);
    auto dumped =
        dump(socket_->handle, RTM_GETTFILTER, where, [] {}, [&](nlmsghdr*) { any = true; }, "list tc filters");
    if (!dumped && dumped.error().code() != EINVAL) {  // EINVAL: no clsact
      return std::unexpected(std::move(dumped).error());
    }
  }
  return any;
}

Result<> Netlink::set_up(Ifindex link) {
  Message message(RTM_NEWLINK, 0);
  ifinfomsg info{};
  info.ifi_index = link.value;
  info.ifi_flags = IFF_UP;
  info.ifi_change = IFF_UP;
  nlmsg_append(message.raw, &info, sizeof info, NLMSG_ALIGNTO);
  return exchange(socket_->handle, message, fmt::format("raise link {}", link.value));
}

Result<> Netlink::remove_link(Ifindex link) {
  Message message(RTM_DELLINK, 0);
  ifinfomsg info{};
  info.ifi_index = link.value;
  nlmsg_append(message.raw, &info, sizeof info, NLMSG_ALIGNTO);
  return exchange(socket_->handle, message, fmt::format("remove link {}", link.value));
}

Result<> Netlink::add_address(Ifindex link, const std::string& address, int prefix) {
  KEELSON_TRY(auto ip, parse_address(address));
  Message message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  ifaddrmsg info{};
  info.ifa_family = static_cast<unsigned char>(ip.family);
  info.ifa_prefixlen = static_cast<unsigned char>(prefix);
  info.ifa_flags = ip.family == AF_INET6 ? IFA_F_NODAD : 0;
  info.ifa_index = static_cast<unsigned>(link.value);
  nlmsg_append(message.raw, &info, sizeof info, NLMSG_ALIGNTO);
  nla_put(message.raw, IFA_LOCAL, ip.size(), ip.bytes);
  nla_put(message.raw, IFA_ADDRESS, ip.size(), ip.bytes);
  return exchange(socket_->handle, message, fmt::format("add address {}/{}", address, prefix));
}

Result<std::vector<std::string>> Netlink::list_addresses(Ifindex link) {
  std::vector<std::string> addresses;
  auto visit = [&](nlmsghdr* header) {
    auto* found = static_cast<ifaddrmsg*>(nlmsg_data(header));
    nlattr* attributes[IFA_MAX + 1] = {};
    nlmsg_parse(header, sizeof *found, attributes, IFA_MAX, nullptr);
    auto* address = attributes[IFA_LOCAL] != nullptr ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
    if (static_cast<int>(found->ifa_index) == link.value && address != nullptr) {
      addresses.push_back(
          fmt::format("{}/{}", format_address(found->ifa_family, nla_data(address)), found->ifa_prefixlen));
    }
  };
  KEELSON_DO(dump(socket_->handle, RTM_GETADDR, ifaddrmsg{}, [&] { addresses.clear(); }, visit, "list addresses"));
  return addresses;
}

Result<> Netlink::add_route(const Route& route) {
  Message message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
  rtmsg info{};
  info.rtm_family = route.six ? AF_INET6 : AF_INET;
  info.rtm_dst_len = static_cast<unsigned char>(route.prefix);
  info.rtm_table = RT_TABLE_MAIN;
  info.rtm_protocol = RTPROT_BOOT;
  info.rtm_scope = route.gateway.empty() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  info.rtm_type = RTN_UNICAST;
  info.rtm_flags = route.gateway.empty() ? 0 : RTNH_F_ONLINK;
  if (route.six) {
    info.rtm_scope = RT_SCOPE_UNIVERSE;
  }
  nlmsg_append(message.raw, &info, sizeof info, NLMSG_ALIGNTO);
  if (route.prefix > 0) {
    KEELSON_TRY(auto ip, parse_address(route.destination));
    nla_put(message.raw, RTA_DST, ip.size(), ip.bytes);
  }
  if (!route.gateway.empty()) {
    KEELSON_TRY(auto ip, parse_address(route.gateway));
    nla_put(message.raw, RTA_GATEWAY, ip.size(), ip.bytes);
  }
  nla_put_u32(message.raw, RTA_OIF, static_cast<uint32_t>(route.link.value));
  return exchange(socket_->handle, message,
                  fmt::format("add route {}",
                              route.prefix > 0 ? fmt::format("{}/{}", route.destination, route.prefix) : "default"));
}

Result<> Netlink::remove_route(const Route& route) {
  KEELSON_TRY(auto ip, parse_address(route.destination));
  Message message(RTM_DELROUTE, 0);
  rtmsg info{};
  info.rtm_family = route.six ? AF_INET6 : AF_INET;
  info.rtm_dst_len = static_cast<unsigned char>(route.prefix);
  info.rtm_table = RT_TABLE_MAIN;
  info.rtm_scope = RT_SCOPE_NOWHERE;
  nlmsg_append(message.raw, &info, sizeof info, NLMSG_ALIGNTO);
  nla_put(message.raw, RTA_DST, ip.size(), ip.bytes);
  nla_put_u32(message.raw, RTA_OIF, static_cast<uint32_t>(route.link.value));
  return exchange(socket_->handle, message, fmt::format("remove route {}/{}", route.destination, route.prefix));
}

namespace {

struct FoundRoute {
  std::string destination;
  int prefix = 0;
  int link = 0;
};

Result<std::vector<FoundRoute>> list_routes(nl_sock* socket, int family) {
  rtmsg info{};
  info.rtm_family = static_cast<unsigned char>(family);
  std::vector<FoundRoute> routes;
  auto visit = [&](nlmsghdr* header) {
    auto* found = static_cast<rtmsg*>(nlmsg_data(header));
    nlattr* attributes[RTA_MAX + 1] = {};
    nlmsg_parse(header, sizeof *found, attributes, RTA_MAX, nullptr);
    if (found->rtm_table == RT_TABLE_MAIN && attributes[RTA_OIF] != nullptr) {
      routes.push_back({attributes[RTA_DST] != nullptr ? format_address(family, nla_data(attributes[RTA_DST])) : "",
                        found->rtm_dst_len, static_cast<int>(nla_get_u32(attributes[RTA_OIF]))});
    }
  };
  KEELSON_DO(dump(socket, RTM_GETROUTE, info, [&] { routes.clear(); }, visit, "list routes"));
  return routes;
}

}  // namespace

Result<bool> Netlink::has_route(const Route& route) {
  KEELSON_TRY(auto routes, list_routes(socket_->handle, route.six ? AF_INET6 : AF_INET));
  for (const auto& found : routes) {
    if (found.link == route.link.value && found.prefix == route.prefix &&
        (route.prefix == 0 || found.destination == route.destination)) {
      return true;
    }
  }
  return false;
}

Result<std::optional<Ifindex>> Netlink::default_link() {
  KEELSON_TRY(auto routes, list_routes(socket_->handle, AF_INET));
  for (const auto& found : routes) {
    if (found.prefix == 0) {
      return Ifindex{found.link};
    }
  }
  return std::nullopt;
}

Result<> Netlink::add_neighbour(Ifindex link, const std::string& address, const std::string& mac) {
  KEELSON_TRY(auto ip, parse_address(address));
  Message message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
  ndmsg info{};
  info.ndm_family = static_cast<unsigned char>(ip.family);
  info.ndm_ifindex = link.value;
  info.ndm_state = NUD_PERMANENT;
  nlmsg_append(message.raw, &info, sizeof info, NLMSG_ALIGNTO);
  nla_put(message.raw, NDA_DST, ip.size(), ip.bytes);
  put_mac(message.raw, NDA_LLADDR, mac);
  return exchange(socket_->handle, message, fmt::format("add neighbour {}", address));
}

}  // namespace keelson
