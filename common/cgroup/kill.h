// SPDX-License-Identifier: Apache-2.0
// The end of everything in a cgroup.
//
// In a PID namespace of its own a group of processes ends with its first; in a shared one what that has forked lives
// on, whoever is killed. The cgroup is what still holds it together.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/result.h"

namespace keelson::cgroup {

/// How long the kernel may take to end processes that have got SIGKILL.
inline constexpr std::chrono::milliseconds kKillTime{2000};

/// Sends `number` once to every process in the folders of `procs` (Tree::procs_files(): a file in each hierarchy's
/// folder) and below. A folder that is not there is empty. Never signals the caller.
void signal_members(const std::vector<std::string>& procs, int number);

/// SIGKILL, again and again until nobody is left, however fast they fork: by cgroup.kill (v2, Linux 5.14) where it is,
/// and process by process. Blocks for `limit` at most: then Kind::timeout, with the PID of one that is still there (it
/// is in uninterruptible sleep, or frozen). The caller must not be a member. The cgroup is of no use afterwards: some
/// kernels kill whatever is cloned into one that knew cgroup.kill.
Result<> kill_members(const std::vector<std::string>& procs, std::chrono::milliseconds limit = kKillTime);

/// True while anybody is in the folders of `procs` or below, the caller left out. Zombies do not count.
bool has_members(const std::vector<std::string>& procs);

}  // namespace keelson::cgroup
