// SPDX-License-Identifier: Apache-2.0
// Random arguments of CRI calls, good and bad.
#pragma once

#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "tests/chaos/node.h"

namespace keelson::chaos {

/// A seeded source of choices. One thread.
class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  /// 0 .. sides - 1
  int roll(int sides) { return static_cast<int>(engine_() % static_cast<uint64_t>(sides)); }
  bool chance(int percent) { return roll(100) < percent; }
  template <class List>
  const typename List::value_type& one_of(const List& list) {
    return list[static_cast<size_t>(roll(static_cast<int>(list.size())))];
  }

 private:
  std::mt19937_64 engine_;
};

/// The ids that callers have heard of, dead ones too. Thread-safe.
class KnownIds {
 public:
  void add(const std::string& id);
  void remove(const std::string& id);
  size_t size() const;
  /// One of them mostly, else something that is no id: empty, unknown, a path, very long.
  std::string pick(Dice& dice) const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> ids_;
};

/// One in five is wrong in one way.
v1::RunPodSandboxRequest random_sandbox(Dice& dice, const Node& node);
v1::CreateContainerRequest random_container(Dice& dice, const Node& node, const std::string& sandbox,
                                            const v1::PodSandboxConfig& config);
v1::LinuxContainerResources random_resources(Dice& dice);

}  // namespace keelson::chaos
