// SPDX-License-Identifier: Apache-2.0
// Linux capabilities by name, and the sets a container gets (CRI LinuxContainerSecurityContext.capabilities).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/result.h"

namespace keelson::cri {

/// A set of capabilities, bit n for capability n (linux/capability.h).
using Capabilities = uint64_t;

/// Every capability of the running kernel (/proc/sys/kernel/cap_last_cap).
Capabilities all_capabilities();

/// What a container has unless told otherwise: the 14 that containerd, CRI-O and Docker agree on.
Capabilities default_capabilities();

/// "NET_ADMIN", "cap_net_admin" and "CAP_NET_ADMIN" are one. Kind::invalid for a name that is none.
Result<int> capability_of_name(std::string_view name);

/// `base` with `add` and then without `drop`; "ALL" in either stands for everything. Kubernetes: add ALL and drop
/// NET_RAW is everything but NET_RAW; drop ALL and add NET_BIND_SERVICE is that one alone, so a drop of ALL goes first.
Result<Capabilities> adjust_capabilities(Capabilities base, std::span<const std::string> add,
                                         std::span<const std::string> drop);

}  // namespace keelson::cri
