// SPDX-License-Identifier: Apache-2.0
// What of this machine decides how containers are limited.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace keelson::agent {

struct NodeCgroups {
  int64_t memory = 0;        ///< all that the machine has, bytes
  bool unified = false;      ///< cgroup v2 alone
  bool counts_swap = false;  ///< its memory controller limits swap, too
  /// The kernel's sizes of huge pages, in its words: "2MB", "1GB".
  std::vector<std::string> page_sizes;
};

/// Reads /sys; what cannot be read is not there.
NodeCgroups read_node_cgroups();

/// "64KB", "2MB", "1GB" of a size in bytes (kubelet's HugePageUnitSizeFromByteSize).
std::string page_size_text(int64_t bytes);

}  // namespace keelson::agent
