// SPDX-License-Identifier: Apache-2.0
// What /proc and /sys tell of the machine and of single processes. What cannot be read counts nothing.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "metrics/node_use.h"

namespace keelson::metrics {

/// A text as /proc/diskstats (kernel's admin-guide/iostats.rst).
BlockDevices parse_block_devices(std::string_view text);

/// How many cores and how many sockets, by the folders cpuN/topology below `folder`; zeros: it does not tell.
std::pair<unsigned, unsigned> read_topology(const std::string& folder = "/sys/devices/system/cpu");

/// A text as /proc/PID/cgroup (cgroups(7)): the cgroup that a process is in, as the kubelet takes it. Empty: it is the
/// whole machine, or not the same for CPU and memory.
std::string parse_cgroup(std::string_view text);

/// When a process started; the epoch: it is gone. `booted`: when the machine did.
WallTime start_of(pid_t process, WallTime booted);

/// Adds the open files of a process.
void add_files(pid_t process, ProcessUse& use);
/// The soft limit of a process's open files.
std::optional<int64_t> most_files_of(pid_t process);

}  // namespace keelson::metrics
