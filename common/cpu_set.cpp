// SPDX-License-Identifier: Apache-2.0
#include "common/cpu_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace keelson {

CpuSet::CpuSet(std::vector<int> numbers) : numbers_(std::move(numbers)) {
  std::ranges::sort(numbers_);
  const auto twice = std::ranges::unique(numbers_);
  numbers_.erase(twice.begin(), twice.end());
}

Result<CpuSet> CpuSet::parse(std::string_view list) {
  const auto refuse = [&] { return fail(Kind::invalid, "'{}' is no list such as 0-3,6", list); };
  std::vector<int> numbers;
  const char* at = list.data();
  const char* const end = at + list.size();
  while (at != end) {
    unsigned first = 0;
    auto parsed = std::from_chars(at, end, first);
    unsigned last = first;
    if (parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == '-') {
      parsed = std::from_chars(parsed.ptr + 1, end, last);
    }
    const bool more = parsed.ptr != end;
    if (parsed.ec != std::errc() || last < first || last >= kMost ||
        (more && (*parsed.ptr != ',' || parsed.ptr + 1 == end))) {
      return refuse();
    }
    for (unsigned number = first; number <= last; ++number) {
      numbers.push_back(static_cast<int>(number));
    }
    at = parsed.ptr + (more ? 1 : 0);
  }
  return CpuSet(std::move(numbers));
}

std::string CpuSet::to_string() const {
  std::string list;
  for (size_t i = 0; i < numbers_.size();) {
    size_t last = i;
    while (last + 1 < numbers_.size() && numbers_[last + 1] == numbers_[last] + 1) {
      ++last;
    }
    list += fmt::format("{}{}", list.empty() ? "" : ",", numbers_[i]);
    if (last > i) {
      list += fmt::format("-{}", numbers_[last]);
    }
    i = last + 1;
  }
  return list;
}

bool CpuSet::contains(int number) const {
  return std::ranges::binary_search(numbers_, number);
}

bool CpuSet::is_within(const CpuSet& other) const {
  return std::ranges::includes(other.numbers_, numbers_);
}

bool CpuSet::meets(const CpuSet& other) const {
  return !(*this & other).empty();
}

CpuSet CpuSet::operator|(const CpuSet& other) const {
  CpuSet out;
  std::ranges::set_union(numbers_, other.numbers_, std::back_inserter(out.numbers_));
  return out;
}

CpuSet CpuSet::operator&(const CpuSet& other) const {
  CpuSet out;
  std::ranges::set_intersection(numbers_, other.numbers_, std::back_inserter(out.numbers_));
  return out;
}

CpuSet CpuSet::operator-(const CpuSet& other) const {
  CpuSet out;
  std::ranges::set_difference(numbers_, other.numbers_, std::back_inserter(out.numbers_));
  return out;
}

}  // namespace keelson
