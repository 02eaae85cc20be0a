// SPDX-License-Identifier: Apache-2.0
// The last steps of a new process before exec: who it is and what it may.
#pragma once

#include "cri/shim/node_proc.h"
#include "cri/shim/protocol.h"
#include "cri/shim/user_lookup.h"

namespace keelson::cri::shim {

/// Lowers or raises this process' OOM score as far as it may (CAP_SYS_RESOURCE is needed to go below the inherited
/// one).
Result<> set_oom_score(int32_t score);

/// This process' own permitted set: more cannot be given away.
Result<uint64_t> permitted_capabilities();

/// Hard limits above ours are clamped when we may not raise them.
Result<> set_rlimits(const std::vector<Rlimit>& limits);

/// AppArmor profile and SELinux label, from the next exec on. `proc` is the node's.
Result<> set_labels(const ProcessSpec& process, const NodeProc& proc);

/// User, groups, capabilities, no_new_privs, seccomp: in the order that lets each still happen. Single-threaded callers
/// only. After success, and set_labels() before, the process has no more rights than `process` says. The error names
/// the step.
Result<> drop_privileges(const ProcessSpec& process, const User& user);

}  // namespace keelson::cri::shim
