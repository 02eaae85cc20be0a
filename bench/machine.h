// SPDX-License-Identifier: Apache-2.0
// What a bench reads of the machine: time, the CPU time of a cgroup, processes and what they weigh.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace keelson::bench {

using Clock = std::chrono::steady_clock;

double since_ms(Clock::time_point start);

/// Milliseconds of CPU (user and system) that all processes in the cgroup and below have used, those that have ended
/// too. `path` is below the hierarchy's root: "/bench/ours". cpuacct on v1 and hybrid, cpu.stat on v2; 0 if neither.
double cgroup_cpu_ms(const std::string& path);

/// Processes whose command line holds both words: a keeper's name, and a path that is this run's.
std::vector<std::string> processes(const std::string& word, const std::string& mark);
/// These and all that descend from them.
std::vector<std::string> with_descendants(std::vector<std::string> pids);

/// The sum of the fields of /proc/PID/smaps_rollup that start with `prefix` ("Private_", "Rss"), in KiB.
double smaps_kib(const std::string& pid, const std::string& prefix);

/// Empties the page cache and the kernel's caches of names and inodes, after all is written.
void drop_caches();

}  // namespace keelson::bench
