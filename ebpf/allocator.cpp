// SPDX-License-Identifier: Apache-2.0
#include "ebpf/allocator.h"

#include <iterator>

namespace keelson::ebpf {

void RangeAllocator::erase(std::map<uint32_t, uint32_t>::iterator range) {
  by_size_.erase({range->second, range->first});
  free_.erase(range);
}

void RangeAllocator::insert(uint32_t base, uint32_t size) {
  if (size == 0) {
    return;
  }
  auto next = free_.upper_bound(base);
  if (next != free_.end() && base + size == next->first) {
    size += next->second;
    auto after = std::next(next);
    erase(next);
    next = after;
  }
  if (next != free_.begin()) {
    auto before = std::prev(next);
    if (before->first + before->second == base) {
      base = before->first;
      size += before->second;
      erase(before);
    }
  }
  free_.emplace(base, size);
  by_size_.emplace(size, base);
}

void RangeAllocator::collect(TimePoint now) {
  while (!waiting_.empty() && now - waiting_.front().since >= kGracePeriod) {
    insert(waiting_.front().base, waiting_.front().size);
    waiting_.pop_front();
  }
}

std::optional<uint32_t> RangeAllocator::take(uint32_t size, TimePoint now) {
  collect(now);
  auto fit = by_size_.lower_bound({size, 0});
  if (fit == by_size_.end()) {
    return std::nullopt;
  }
  auto [whole, base] = *fit;
  erase(free_.find(base));
  if (whole > size) {
    insert(base + size, whole - size);
  }
  used_ += size;
  return base;
}

bool RangeAllocator::claim(uint32_t base, uint32_t size) {
  auto range = free_.upper_bound(base);
  if (range == free_.begin()) {
    return false;
  }
  --range;
  auto [first, whole] = *range;
  if (base + size > first + whole) {
    return false;
  }
  erase(range);
  insert(first, base - first);
  insert(base + size, first + whole - base - size);
  used_ += size;
  return true;
}

void RangeAllocator::extend(uint32_t end) {
  insert(end_, end - end_);
  end_ = end;
}

void RangeAllocator::give_back(uint32_t base, uint32_t size, TimePoint now) {
  if (size == 0) {
    return;
  }
  used_ -= size;
  waiting_.push_back({now, base, size});
}

}  // namespace keelson::ebpf
