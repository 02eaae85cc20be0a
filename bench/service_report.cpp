// SPDX-License-Identifier: Apache-2.0
#include "bench/service_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/report.h"

namespace keelson::bench {
namespace {

std::vector<double> of(const NamedValues& path, const std::string& metric) {
  auto found = path.values.find(metric);
  return found == path.values.end() ? std::vector<double>() : found->second;
}

std::vector<double> ratios(const NamedValues& ours, const NamedValues& theirs, const std::string& metric) {
  auto mine = of(ours, metric), other = of(theirs, metric);
  std::vector<double> result;
  for (size_t i = 0; i < std::min(mine.size(), other.size()); i++) {
    result.push_back(mine[i] / other[i]);
  }
  return result;
}

const NamedValues* find(const std::vector<NamedValues>& paths, const std::string& name) {
  auto found = std::find_if(paths.begin(), paths.end(), [&](const auto& path) { return path.name == name; });
  return found == paths.end() ? nullptr : &*found;
}

}  // namespace

void print_paths(const std::string& title, const std::vector<NamedValues>& paths) {
  fmt::print("-- {}\n{:<16} {:>7} {:>16} {:>6} | {:>7} {:>7} | {:>7} | {:>6} {:>6} | {:>6} {:>6} | {:>6} {:>6}\n",
             title, "", "crr/s", "min..max", "ratio", "connect", "p99 us", "crr p50", "rr p50", "p99", "udp", "p99",
             "first", "p99");
  for (const auto& path : paths) {
    auto value = [&](const char* metric) { return median(of(path, metric)); };
    const auto rates = of(path, "crr/s");
    fmt::print(
        "{:<16} {:>7.0f} {:>16} {:>6.3f} | {:>7.1f} {:>7.1f} | {:>7.1f} | {:>6.1f} {:>6.1f} | {:>6.1f} {:>6.1f} | "
        "{:>6.1f} {:>6.1f}\n",
        path.name, median(rates), fmt::format("{:.0f}..{:.0f}", quantile(rates, 0), quantile(rates, 1)),
        median(ratios(path, paths.front(), "crr/s")), value("connect p50"), value("connect p99"), value("crr p50"),
        value("rr p50"), value("rr p99"), value("udp p50"), value("udp p99"), value("first p50"), value("first p99"));
  }
}

void print_goal(const ServiceGoal& goal, const std::vector<NamedValues>& paths) {
  const auto *ours = find(paths, goal.ours), *theirs = find(paths, goal.theirs);
  if (!ours || !theirs) {
    return;
  }
  const auto all = ratios(*ours, *theirs, goal.metric);
  const double ratio = median(all);
  const bool met = goal.at_least ? ratio >= goal.bound : ratio <= goal.bound;
  // What else runs on the machine lowers rates, and medians of single times hardly.
  const auto by_p50 =
      goal.metric == "crr/s" ? fmt::format(", by crr p50 {:.3f}", 1 / median(ratios(*ours, *theirs, "crr p50"))) : "";
  fmt::print("   {:<12} {:>14} / {:<14} {:.3f} ({:.3f}..{:.3f}{})  goal {} {:.2f}{}\n", goal.metric, goal.ours,
             goal.theirs, ratio, quantile(all, 0), quantile(all, 1), by_p50, goal.at_least ? ">=" : "<=", goal.bound,
             met ? "" : "  MISSED");
}

}  // namespace keelson::bench
