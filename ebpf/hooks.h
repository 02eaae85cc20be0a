// SPDX-License-Identifier: Apache-2.0
// Where the kernel runs our programs now, by its own word.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "ebpf/programs.h"

namespace keelson::ebpf {

struct LinkHooks {
  int ifindex = 0;
  std::string name;  ///< Empty: the link is gone.
  LinkKind kind = LinkKind::pod;
  std::vector<std::string> hooks;  ///< Of "tc-ingress", "tc-egress", "xdp" those that run a program of ours.
};

/// Links that should have programs, by number.
std::vector<LinkHooks> link_hooks(const Programs& programs);

/// Takes away what a version of the loader has pinned in its folder (<bpf-dir>/services), the hooks first: no program
/// may be without its tables. Absent is success.
Result<> remove_pins(const std::string& folder);

/// The socket hooks of this cgroup (v2) that run a program of ours, of all: "connect4", "sendmsg6" ... Kind::not_found:
/// no such cgroup.
Result<std::vector<std::string>> socket_hooks(const Programs& programs, const std::string& cgroup);

}  // namespace keelson::ebpf
