// SPDX-License-Identifier: Apache-2.0
// One set of maps and programs as it is pinned. There is one, or two while the next takes over from the last.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/fd.h"
#include "common/result.h"
#include "ebpf/layout.h"

namespace keelson::ebpf {

/// A folder on a bpffs: <number>/maps/<name>, <number>/programs/<hook>, and <number>/layout, which comes last: without
/// it the rest is not all there. A plain value.
class Generation {
 public:
  Generation(std::string pins, uint32_t number) : pins_(std::move(pins)), number_(number) {}
  /// All below this folder, oldest first, complete or not.
  static std::vector<Generation> list(const std::string& pins);

  uint32_t number() const { return number_; }
  bool is_complete() const;
  /// kl_phase: how far it has taken over from the one before.
  uint32_t phase() const;
  Result<Layout> layout() const;
  /// Empty: there is none of that name.
  Fd map(const std::string& name) const;
  Fd program(const std::string& hook) const;

  Result<> make() const;
  Result<> pin_map(int map, const std::string& name) const;
  /// In place of the one that is pinned there, in one step.
  Result<> pin_program(int program, const std::string& hook) const;
  Result<> pin_layout(std::span<const std::byte> layout) const;
  Result<> unpin_map(const std::string& name) const;
  /// Absent is success.
  Result<> remove() const;

 private:
  std::string path(const std::string& rest) const { return pins_ + "/" + std::to_string(number_) + "/" + rest; }
  std::string pins_;
  uint32_t number_;
};

/// One that is taken over from.
struct Source {
  Generation generation;
  Layout layout;
};

}  // namespace keelson::ebpf
