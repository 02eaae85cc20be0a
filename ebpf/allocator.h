// SPDX-License-Identifier: Apache-2.0
// Which rows and ranges of rows of a table are free. What is given back is handed out again only after a grace period,
// for a program may still hold what it read before: it runs for microseconds, the period is a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>

namespace keelson::ebpf {

using TimePoint = std::chrono::steady_clock::time_point;
inline constexpr std::chrono::seconds kGracePeriod{1};

/// Ranges of [first, end), best fit, merged with their neighbours when they come back. A single row is a range of one.
/// O(log ranges). One thread at a time.
class RangeAllocator {
 public:
  RangeAllocator(uint32_t first, uint32_t end) : end_(end) { insert(first, end - first); }

  /// Nothing: no range of that size is free at `now`.
  std::optional<uint32_t> take(uint32_t size, TimePoint now);
  /// Takes that very range, which is free and not in its grace period: for what a former daemon had taken. False if it
  /// is not.
  bool claim(uint32_t base, uint32_t size);
  /// `size` 0: nothing happens.
  void give_back(uint32_t base, uint32_t size, TimePoint now);
  /// There are rows up to this one now, which is no less than it was.
  void extend(uint32_t end);
  uint32_t used() const { return used_; }

 private:
  void insert(uint32_t base, uint32_t size);
  void erase(std::map<uint32_t, uint32_t>::iterator range);
  void collect(TimePoint now);

  struct Waiting {
    TimePoint since;
    uint32_t base;
    uint32_t size;
  };
  std::map<uint32_t, uint32_t> free_;                // base -> size
  std::set<std::pair<uint32_t, uint32_t>> by_size_;  // size, base
  std::deque<Waiting> waiting_;
  uint32_t end_;
  uint32_t used_ = 0;
};

}  // namespace keelson::ebpf
