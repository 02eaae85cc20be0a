// SPDX-License-Identifier: Apache-2.0
// What of this machine decides how containers are limited.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace keelson::agent {

inline constexpr int64_t kCpuPeriod = 100'000;  ///< microseconds
/// How limits of CPU are enforced (cpuCFSQuota, cpuCFSQuotaPeriod).
struct CpuQuotas {
  bool enforced = true;
  int64_t period = kCpuPeriod;  ///< microseconds
};

/// What becomes of containers that want more memory than there is for them.
struct MemoryRules {
  bool limited_swap = false;     ///< those of Burstable pods have some swap (memorySwap.swapBehavior: LimitedSwap)
  bool single_oom_kill = false;  ///< one process ends, not all of the container's (singleProcessOOMKill)
};

struct NodeCgroups {
  int64_t memory = 0;        ///< all that the machine has, bytes
  bool unified = false;      ///< cgroup v2 alone
  bool counts_swap = false;  ///< its memory controller limits swap, too
  /// The kernel's sizes of huge pages, in its words: "2MB", "1GB".
  std::vector<std::string> page_sizes;
  CpuQuotas quotas = {};   ///< the operator's
  MemoryRules rules = {};  ///< the operator's
  int64_t swap = 0;        ///< all that the machine has, bytes

  /// Containers can have a share of the swap: on cgroup v2 alone.
  bool limits_swap() const { return rules.limited_swap && unified && counts_swap; }
};

/// cgroup v2 alone: of a machine with both, the first has the controllers.
bool has_unified_cgroups();

/// Reads /sys; what cannot be read is not there.
NodeCgroups read_node_cgroups(CpuQuotas quotas, MemoryRules rules);

/// "64KB", "2MB", "1GB" of a size in bytes (kubelet's HugePageUnitSizeFromByteSize).
std::string page_size_text(int64_t bytes);

}  // namespace keelson::agent
