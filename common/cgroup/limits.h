// SPDX-License-Identifier: Apache-2.0
// What a cgroup may use, in the words of cgroup v1 that CRI and OCI speak; v2's values are worked out from them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace keelson::cgroup {

/// Pages of one size: "2MB", "1GB", as the kernel names its files.
struct HugePages {
  std::string page_size;
  uint64_t bytes = 0;
};

/// Zero and empty mean "leave it as it is"; a negative number takes a limit away.
struct Limits {
  int64_t cpu_shares = 0;   ///< 1024 is one CPU's worth when all want it; v2 has cpu_weight_of_shares()
  int64_t cpu_quota = 0;    ///< microseconds of CPU in each period
  int64_t cpu_period = 0;   ///< microseconds; with a quota and without this: kCpuPeriod
  std::string cpuset_cpus;  ///< "0-3,5"
  std::string cpuset_mems;
  int64_t memory = 0;       ///< bytes
  int64_t memory_swap = 0;  ///< bytes of memory and swap together; only with `memory`
  int64_t processes = 0;
  std::vector<HugePages> huge_pages;
  std::map<std::string, std::string> unified;  ///< v2: any file and what is to be written into it, after all else
};

inline constexpr int64_t kCpuPeriod = 100'000;  ///< microseconds

/// cpu.weight for cpu.shares, by the curve that runc 1.3.2 and crun 1.23 use: 1024 shares are 100. 0 for 0.
uint64_t cpu_weight_of_shares(int64_t shares);

}  // namespace keelson::cgroup
