// SPDX-License-Identifier: Apache-2.0
#include "ebpf/node_links.h"

#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/vfs.h>

#include <algorithm>
#include <map>

#include "common/log.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace keelson::ebpf {
namespace {

Result<> attach(Programs& programs, const Link& link, LinkKind kind, bool xdp) {
  auto attached = programs.attach_link(link.index.value, kind, xdp);
  if (attached || !xdp) {
    return attached;
  }
  log::warning("{}: no XDP ({}), packets are taken at tc", link.name, attached.error().message());
  return programs.attach_link(link.index.value, kind, false);
}

bool is_uplink(const Link& link, std::optional<Ifindex> default_link, const LinkRules& rules) {
  return rules.uplinks.empty() ? default_link && default_link->value == link.index.value
                               : std::ranges::find(rules.uplinks, link.name) != rules.uplinks.end();
}

bool is_pods(const Link& link, const std::vector<Link>& all, const LinkRules& rules) {
  if (!rules.pod_bridge.empty()) {
    return std::ranges::any_of(all, [&](const Link& master) {
      return master.name == rules.pod_bridge && master.index.value == link.master.value;
    });
  }
  return rules.pod_prefix.empty() ? link.kind == "veth" : link.name.starts_with(rules.pod_prefix);
}

}  // namespace

std::optional<LinkKind> link_kind(const Link& link, const std::vector<Link>& all, std::optional<Ifindex> default_link,
                                  const LinkRules& rules) {
  if (is_uplink(link, default_link, rules)) {
    return LinkKind::uplink;
  }
  if (is_pods(link, all, rules)) {
    return LinkKind::pod;
  }
  return link.kind == "veth" ? std::optional(LinkKind::uplink) : std::nullopt;
}

Result<size_t> sync_links(Programs& programs, Netlink& netlink, const LinkRules& rules) {
  KEELSON_TRY(auto links, netlink.list_links());
  KEELSON_TRY(auto default_link, netlink.default_link());
  std::map<int, LinkKind> wanted;
  std::string missing;
  for (const auto& name : rules.uplinks) {
    if (std::ranges::none_of(links, [&](const Link& link) { return link.name == name; })) {
      missing += " " + name;
    }
  }
  Result<> done;
  for (const auto& link : links) {
    auto kind = link_kind(link, links, default_link, rules);
    if (!kind) {
      continue;
    }
    wanted[link.index.value] = *kind;
    const bool xdp = rules.xdp && is_uplink(link, default_link, rules);
    // A pod may go while its link is listed.
    if (auto attached = attach(programs, link, *kind, xdp); !attached && attached.error().code() != ENODEV) {
      done = std::move(attached).context("link {}", link.name);
    }
  }
  for (int ifindex : programs.attached_links()) {
    if (!wanted.contains(ifindex)) {
      KEELSON_DO(programs.detach_link(ifindex));
    }
  }
  KEELSON_DO(std::move(done));
  if (!missing.empty()) {
    return fail(Kind::not_found, "no link{}: name the node's uplinks by --uplinks", missing);
  }
  return wanted.size();
}

Result<std::string> cgroup2_root() {
  for (const char* path : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    struct statfs info{};
    if (statfs(path, &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC) {
      return path;
    }
  }
  return fail(Kind::not_found,
              "no cgroup v2 hierarchy is mounted at /sys/fs/cgroup or /sys/fs/cgroup/unified: mount -t cgroup2 none "
              "/sys/fs/cgroup/unified");
}

Result<uint64_t> netns_cookie() {
  Fd probe(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (!probe || getsockopt(probe.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0) {
    return fail_errno(errno, "cookie of the network namespace");
  }
  return cookie;
}

}  // namespace keelson::ebpf
