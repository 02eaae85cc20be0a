// SPDX-License-Identifier: Apache-2.0
// Which links of the node get programs: uplinks, by which others reach it, and the node's ends of its pods' links.
#pragma once

#include <string>
#include <vector>

#include "common/netlink.h"
#include "common/result.h"
#include "ebpf/programs.h"

namespace keelson::ebpf {

struct LinkRules {
  std::vector<std::string> uplinks;  ///< Names; none: the link of the default route.
  bool xdp = false;                  ///< XDP on uplinks; where the driver refuses it, tc alone, with a warning.
};

/// Every veth that is no uplink is a pod's. Nothing else gets programs. Links that are gone lose their pins.
/// Level-triggered: attaches what lacks and detaches what should not be; call it at start and at each change of links.
/// Kind::not_found: a named uplink is not there (all others are served). Returns how many links have programs.
Result<size_t> sync_links(Programs& programs, Netlink& netlink, const LinkRules& rules);

/// The cgroup v2 hierarchy's root on this node, also of a hybrid layout. Kind::not_found: none is mounted.
Result<std::string> cgroup2_root();

/// The cookie of this thread's network namespace (SO_NETNS_COOKIE, Linux 5.14).
Result<uint64_t> netns_cookie();

}  // namespace keelson::ebpf
