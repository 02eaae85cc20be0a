// SPDX-License-Identifier: Apache-2.0
// All that the kernel counts of a cgroup, in words that both versions share. Tree::usage() is the short form.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/cgroup/hierarchy.h"
#include "common/result.h"

namespace keelson::cgroup {

/// What tasks have waited for (psi, kernel's accounting/psi.rst): some of them, or all at once. Averages are percent.
struct Pressure {
  struct Line {
    double average_10 = 0, average_60 = 0, average_300 = 0;
    uint64_t total_microseconds = 0;
  };
  Line some, full;
};

/// One block device.
struct DeviceUse {
  uint32_t major = 0, minor = 0;
  uint64_t reads = 0, writes = 0;
  uint64_t read_bytes = 0, written_bytes = 0;
};

/// Counters since the cgroup was made, with all below it; bytes and nanoseconds unless named otherwise. What the kernel
/// does not count is 0.
struct Counters {
  uint64_t cpu = 0, cpu_user = 0, cpu_system = 0;
  uint64_t periods = 0, throttled_periods = 0, throttled = 0;
  uint64_t cpu_shares = 0;  ///< v1's; of v2, worked out from cpu.weight
  int64_t cpu_quota = 0;    ///< microseconds in each period; 0: none
  uint64_t cpu_period = 0;  ///< microseconds

  uint64_t memory = 0;
  uint64_t working_set = 0;  ///< without inactive file pages, as the kubelet counts
  uint64_t anonymous = 0;    ///< rss
  uint64_t cache = 0;
  uint64_t mapped_files = 0;
  uint64_t active_files = 0, inactive_files = 0;
  uint64_t kernel = 0;
  uint64_t swap = 0;
  uint64_t highest_memory = 0;
  uint64_t memory_limit = 0;  ///< 0: none
  uint64_t memory_reservation = 0;
  uint64_t swap_limit = 0;  ///< of swap alone; 0: none, or no swap
  uint64_t failures = 0;    ///< how often the limit was reached
  uint64_t page_faults = 0, major_page_faults = 0;
  uint64_t oom_kills = 0;

  uint64_t threads = 0, threads_limit = 0;
  std::vector<DeviceUse> devices;
  std::optional<Pressure> cpu_pressure, memory_pressure, io_pressure;  ///< v2, where the kernel has them
};

/// Looks at cgroups, whoever made them, and changes none. Paths as Tree's; "/" is the whole machine. Thread-safe.
class CounterReader {
 public:
  /// The mounts of this process. Kind::unsupported if no hierarchy is among them.
  static Result<CounterReader> open();
  explicit CounterReader(std::vector<Hierarchy> hierarchies) : hierarchies_(std::move(hierarchies)) {}

  /// All there is: some 15 files.
  Counters read(const std::string& path) const;
  /// The cgroup right below `parent` whose name has `id` in it; empty: there is none.
  std::string find(const std::string& parent, std::string_view id) const;
  /// Whoever is in it or below it, in the order of their numbers.
  std::vector<pid_t> members(const std::string& path) const;

 private:
  /// Where one controller governs a path.
  struct Place {
    std::string dir;      ///< empty: nowhere
    bool second = false;  ///< by v2's files
  };
  Place place(std::string_view controller, const std::string& path) const;
  /// The folder in one hierarchy: everybody is in all of them.
  std::string folder(const std::string& path) const;

  std::vector<Hierarchy> hierarchies_;
};

}  // namespace keelson::cgroup
