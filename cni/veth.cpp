// SPDX-License-Identifier: Apache-2.0
// The steps of making and checking a pod's link.
#include "cni/veth.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "common/fd.h"
#include "common/netlink.h"
#include "common/netns.h"

namespace keelson::cni {

namespace {

constexpr const char* kPrefix = "kl";

uint64_t hash(std::string_view text) {  // FNV-1a, 64 bit
  uint64_t value = 0xcbf29ce484222325;
  for (char c : text) {
    value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return value;
}

/// A locally administered MAC that this name always has.
std::string mac_of(const std::string& name) {
  auto bits = hash(name);
  return fmt::format("02:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", (bits >> 32) & 0xff, (bits >> 24) & 0xff,
                     (bits >> 16) & 0xff, (bits >> 8) & 0xff, bits & 0xff);
}

int width(const PodAddress& address) {
  return address.six ? 128 : 32;
}

Result<int> choose_mtu(Netlink& node, int wanted) {
  if (wanted > 0) {
    return wanted;
  }
  KEELSON_TRY(auto uplink, node.default_link());
  if (!uplink) {
    return 1500;
  }
  KEELSON_TRY(auto link, node.find_link(*uplink));
  return link.mtu;
}

/// Writes only what is not so yet: a sysctl may be read-only where it is right already.
Result<> ensure_sysctl(const std::string& path, const std::string& value) {
  auto now = read_file(path);
  if (now && now->substr(0, now->find('\n')) == value) {
    return {};
  }
  return write_value(path, value);
}

Result<> set_up_pod(const PodLink& link, const std::string& gateway_mac) {
  KEELSON_TRY(auto pod, Netlink::open());
  KEELSON_TRY(auto end, pod.find_link(link.pod_name));
  KEELSON_DO(pod.set_up(end.index));
  for (const auto& address : link.addresses) {
    KEELSON_DO(pod.add_address(end.index, address.address, width(address)));
    KEELSON_DO(pod.add_neighbour(end.index, address.gateway, gateway_mac));
    KEELSON_DO(pod.add_route({.six = address.six, .gateway = address.gateway, .link = end.index}));
  }
  return {};
}

Result<> set_up_node(Netlink& node, const PodLink& link, const std::string& pod_mac) {
  KEELSON_TRY(auto end, node.find_link(link.host_name));
  for (const auto& address : link.addresses) {
    KEELSON_DO(
        ensure_sysctl(address.six ? "/proc/sys/net/ipv6/conf/all/forwarding" : "/proc/sys/net/ipv4/ip_forward", "1"));
    KEELSON_DO(node.add_address(end.index, address.gateway, width(address)));
    KEELSON_DO(node.add_neighbour(end.index, address.address, pod_mac));
    KEELSON_DO(node.add_route(
        {.destination = address.address, .prefix = width(address), .six = address.six, .link = end.index}));
  }
  return {};
}

}  // namespace

std::string host_link_name(const std::string& container_id, const std::string& interface) {
  return fmt::format("{}{:012x}", kPrefix, hash(container_id + "/" + interface) & 0xffffffffffff);
}

Result<MadeLink> make_link(const PodLink& link) {
  KEELSON_TRY(auto netns, open_file(link.netns, O_RDONLY));
  KEELSON_TRY(auto node, Netlink::open());
  MadeLink made{.host_mac = mac_of(link.host_name), .pod_mac = mac_of(link.host_name + "/pod")};
  KEELSON_TRY(made.mtu, choose_mtu(node, link.mtu));
  KEELSON_DO(node.make_veth({.name = link.host_name,
                             .peer_name = link.pod_name,
                             .peer_netns = netns.get(),
                             .mac = made.host_mac,
                             .peer_mac = made.pod_mac,
                             .mtu = made.mtu}));
  auto rest = [&]() -> Result<> {
    {
      KEELSON_TRY(auto inside, NetnsGuard::enter(netns.get()));
      KEELSON_DO(set_up_pod(link, made.host_mac).context("in the pod"));
    }
    return set_up_node(node, link, made.pod_mac);
  };
  if (auto done = rest(); !done) {
    if (auto removed = remove_link(link.host_name); !removed) {
      return std::unexpected(std::move(done).error().with_context(removed.error().message()));
    }
    return std::unexpected(std::move(done).error());
  }
  return made;
}

Result<> remove_link(const std::string& host_name) {
  KEELSON_TRY(auto node, Netlink::open());
  auto link = node.find_link(host_name);
  if (!link) {
    return link.error().kind() == Kind::not_found ? Result<>() : Result<>(std::unexpected(std::move(link).error()));
  }
  auto removed = node.remove_link(link->index);
  if (!removed && removed.error().kind() == Kind::not_found) {
    return {};  // it went with its namespace meanwhile
  }
  return removed;
}

Result<> remove_link_behind(const std::string& host_name, const std::vector<std::string>& addresses) {
  KEELSON_TRY(auto node, Netlink::open());
  auto link = node.find_link(host_name);
  if (!link) {
    return link.error().kind() == Kind::not_found ? Result<>() : Result<>(std::unexpected(std::move(link).error()));
  }
  for (const auto& address : addresses) {
    bool six = address.find(':') != std::string::npos;
    auto removed =
        node.remove_route({.destination = address, .prefix = six ? 128 : 32, .six = six, .link = link->index});
    if (!removed && removed.error().kind() != Kind::not_found) {
      return removed;
    }
  }
  pid_t child = ::fork();
  if (child < 0) {
    return node.remove_link(link->index);
  }
  if (child == 0) {
    // Whoever waits for our output must not wait for this.
    ::setsid();
    ::close_range(0, 2, 0);
    auto removed = remove_link(host_name);
    ::_exit(removed ? 0 : 1);
  }
  return {};
}

Result<> wait_link_gone(const std::string& host_name, std::chrono::milliseconds limit) {
  KEELSON_TRY(auto node, Netlink::open());
  auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    auto link = node.find_link(host_name);
    if (!link && link.error().kind() == Kind::not_found) {
      return {};
    }
    if (std::chrono::steady_clock::now() > end) {
      return fail(Kind::timeout, "link {} is still there", host_name);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

Result<> check_link(const PodLink& link) {
  KEELSON_TRY(auto node, Netlink::open());
  KEELSON_TRY(auto end, node.find_link(link.host_name));
  for (const auto& address : link.addresses) {
    KEELSON_TRY(bool routed,
                node.has_route(
                    {.destination = address.address, .prefix = width(address), .six = address.six, .link = end.index}));
    if (!routed) {
      return fail(Kind::not_found, "the node has no route to {} by {}", address.address, link.host_name);
    }
  }
  KEELSON_TRY(auto inside, NetnsGuard::enter(link.netns));
  KEELSON_TRY(auto pod, Netlink::open());
  KEELSON_TRY(auto pod_end, pod.find_link(link.pod_name));
  KEELSON_TRY(auto addresses, pod.list_addresses(pod_end.index));
  for (const auto& address : link.addresses) {
    auto wanted = fmt::format("{}/{}", address.address, width(address));
    if (std::find(addresses.begin(), addresses.end(), wanted) == addresses.end()) {
      return fail(Kind::not_found, "{} in the pod has lost its address {}", link.pod_name, wanted);
    }
    KEELSON_TRY(bool routed, pod.has_route({.six = address.six, .link = pod_end.index}));
    if (!routed) {
      return fail(Kind::not_found, "the pod has lost its default route by {}", link.pod_name);
    }
  }
  return {};
}

Result<std::vector<std::string>> list_links() {
  KEELSON_TRY(auto node, Netlink::open());
  KEELSON_TRY(auto links, node.list_links());
  std::vector<std::string> names;
  for (const auto& link : links) {
    bool ours = link.name.size() == 14 && link.name.starts_with(kPrefix) &&
                link.name.find_first_not_of("0123456789abcdef", 2) == std::string::npos;
    if (ours) {
      names.push_back(link.name);
    }
  }
  return names;
}

}  // namespace keelson::cni
