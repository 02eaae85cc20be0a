// SPDX-License-Identifier: Apache-2.0
// Callers and kills, and the comparison at rest.
#pragma once

#include <chrono>
#include <cstdint>

#include "tests/chaos/node.h"

namespace keelson::chaos {

struct StormOptions {
  std::chrono::seconds length{600};
  uint64_t seed = 1;
  int callers = 6;
  std::chrono::seconds between_rests{20};
};

/// True if all witnesses agreed at every rest, nothing was left at the end, and the daemon never ended by itself. What
/// was found is printed.
bool run_storm(Node& node, const StormOptions& options);

/// Stops and removes every sandbox that is listed. False, and a line, if a call fails.
bool remove_all(const Node& node);

}  // namespace keelson::chaos
