// SPDX-License-Identifier: Apache-2.0
// Which links of the node get programs: uplinks, by which others reach it, and the node's ends of its pods' links.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/netlink.h"
#include "common/result.h"
#include "ebpf/programs.h"

namespace keelson::ebpf {

struct LinkRules {
  std::vector<std::string> uplinks;  ///< Names; none: the link of the default route.
  bool xdp = false;                  ///< XDP on uplinks; where the driver refuses it, tc alone, with a warning.
  /// Which links are pods' (detectLocalMode): ports of this bridge, or those whose names begin so. Neither: every veth
  /// that is no uplink.
  std::string pod_bridge;
  std::string pod_prefix;
};

/// What a link is by the rules; nothing: it gets no programs. A veth that is not a pod's counts as an uplink: what
/// comes by it comes from outside.
std::optional<LinkKind> link_kind(const Link& link, const std::vector<Link>& all, std::optional<Ifindex> default_link,
                                  const LinkRules& rules);

/// Gives links their programs. Those that are gone lose their pins.
/// Level-triggered: attaches what lacks and detaches what should not be; call it at start and at each change of links.
/// Kind::not_found: a named uplink is not there (all others are served). Returns how many links have programs.
Result<size_t> sync_links(Programs& programs, Netlink& netlink, const LinkRules& rules);

/// The cgroup v2 hierarchy's root on this node, also of a hybrid layout. Kind::not_found: none is mounted.
Result<std::string> cgroup2_root();

/// The cookie of this thread's network namespace (SO_NETNS_COOKIE, Linux 5.14).
Result<uint64_t> netns_cookie();

}  // namespace keelson::ebpf
