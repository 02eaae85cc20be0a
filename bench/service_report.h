// SPDX-License-Identifier: Apache-2.0
// The tables of services_bench: paths beside one another, and what was to be reached.
#pragma once

#include <string>
#include <vector>

#include "bench/service_flows.h"

namespace keelson::bench {

struct NamedValues {
  std::string name;  ///< Of the path.
  PathValues values;
};

/// A line for each path: medians of its rounds, of crr/s with the least and the greatest, and as a part of the first
/// path's.
void print_paths(const std::string& title, const std::vector<NamedValues>& paths);

struct ServiceGoal {
  std::string metric;
  std::string ours;
  std::string theirs;
  double bound = 0;      ///< Of ours / theirs.
  bool at_least = true;  ///< Else: at most.
};

/// The median of the rounds' ratios ours / theirs, with the least and the greatest: both of one round, so that what
/// disturbs a round disturbs neither alone. "MISSED" where the bound is not kept. A goal whose path is absent is passed
/// over.
void print_goal(const ServiceGoal& goal, const std::vector<NamedValues>& paths);

}  // namespace keelson::bench
