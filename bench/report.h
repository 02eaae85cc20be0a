// SPDX-License-Identifier: Apache-2.0
// Two sides' samples and the table that compares them: median, spread, ratio, goal, and whether it was met.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace keelson::bench {

/// Measured values by metric name.
using Samples = std::map<std::string, std::vector<double>>;

struct Row {
  std::string metric;
  double goal = 0;  ///< ours / theirs at most; 0: none
};

inline double median(std::vector<double> values) {
  if (values.empty()) {
    return 0;
  }
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

inline std::string spread(std::vector<double> values) {
  if (values.empty()) {
    return "-";
  }
  std::sort(values.begin(), values.end());
  return fmt::format("{:.2f} ({:.2f}..{:.2f})", values[values.size() / 2], values.front(), values.back());
}

inline void print_table(const std::string& ours, Samples& our_samples, const std::string& theirs,
                        Samples& their_samples, const std::vector<Row>& rows) {
  fmt::print("{:<30} {:>28} {:>28} {:>7} {:>7}\n", "median (min..max), ms", ours, theirs, "ratio", "goal");
  for (const auto& row : rows) {
    const double ratio = median(our_samples[row.metric]) / median(their_samples[row.metric]);
    fmt::print("{:<30} {:>28} {:>28} {:>7.3f} {:>7} {}\n", row.metric, spread(our_samples[row.metric]),
               spread(their_samples[row.metric]), ratio, row.goal > 0 ? fmt::format("{:.3f}", row.goal) : "",
               row.goal > 0 && ratio > row.goal ? "missed" : "");
  }
}

}  // namespace keelson::bench
