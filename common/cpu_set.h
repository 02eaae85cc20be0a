// SPDX-License-Identifier: Apache-2.0
// Numbers of CPUs, or of memory nodes, in the list format of the kernel: "0-3,8" (cpuset(7)).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace keelson {

/// A value. Also for numbers of cores, sockets and NUMA nodes.
class CpuSet {
 public:
  /// The kernel knows no more CPUs than these.
  static constexpr int kMost = 8192;

  CpuSet() = default;
  /// Whatever the order; a number may be there twice.
  explicit CpuSet(std::vector<int> numbers);
  CpuSet(std::initializer_list<int> numbers) : CpuSet(std::vector<int>(numbers)) {}

  /// "" is the empty set. Kind::invalid: not such a list, or a number that is not below kMost.
  static Result<CpuSet> parse(std::string_view list);
  /// Ascending, ranges joined: "0-3,8".
  std::string to_string() const;

  bool empty() const { return numbers_.empty(); }
  int size() const { return static_cast<int>(numbers_.size()); }
  bool contains(int number) const;
  /// All of this are in `other`.
  bool is_within(const CpuSet& other) const;
  /// Some are in both.
  bool meets(const CpuSet& other) const;

  /// Ascending.
  const std::vector<int>& numbers() const { return numbers_; }
  auto begin() const { return numbers_.begin(); }
  auto end() const { return numbers_.end(); }

  /// In either, in both, and in this one alone.
  CpuSet operator|(const CpuSet& other) const;
  CpuSet operator&(const CpuSet& other) const;
  CpuSet operator-(const CpuSet& other) const;
  bool operator==(const CpuSet&) const = default;

 private:
  std::vector<int> numbers_;  // ascending, each once
};

}  // namespace keelson
