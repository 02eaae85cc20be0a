// SPDX-License-Identifier: Apache-2.0
// Two sides' samples and the table that compares them: p50, p99, ratios, goal, and whether it was met.
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
  double goal = 0;   ///< ours / theirs at most, of medians; 0: none
  double limit = 0;  ///< our median at most, in the metric's unit; 0: none
};

/// The value that the part `share` of all values do not pass; of few values, 0.99 is their greatest. No values: 0.
inline double quantile(std::vector<double> values, double share) {
  if (values.empty()) {
    return 0;
  }
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())))];
}

inline double median(const std::vector<double>& values) {
  return quantile(values, 0.5);
}

/// Metrics are milliseconds unless their name says another unit.
inline void print_table(const std::string& ours, Samples& our_samples, const std::string& theirs,
                        Samples& their_samples, const std::vector<Row>& rows) {
  fmt::print("{:<36} {:>10} {:>9} {:>10} {:>9} {:>7} {:>7} {:>7}\n", "ms", ours, "p99", theirs, "p99", "ratio", "p99",
             "goal");
  for (const auto& row : rows) {
    const auto& mine = our_samples[row.metric];
    const auto& other = their_samples[row.metric];
    const double ratio = median(mine) / median(other);
    const bool missed = (row.goal > 0 && ratio > row.goal) || (row.limit > 0 && median(mine) > row.limit);
    const auto goal = row.goal > 0    ? fmt::format("{:.3f}", row.goal)
                      : row.limit > 0 ? fmt::format("<={:.0f}", row.limit)
                                      : "";
    fmt::print("{:<36} {:>10.2f} {:>9.2f} {:>10.2f} {:>9.2f} {:>7.3f} {:>7.3f} {:>7} {}\n", row.metric, median(mine),
               quantile(mine, 0.99), median(other), quantile(other, 0.99), ratio,
               quantile(mine, 0.99) / quantile(other, 0.99), goal, missed ? "missed" : "");
  }
}

}  // namespace keelson::bench
