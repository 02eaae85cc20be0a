// SPDX-License-Identifier: Apache-2.0
#include "common/stats.h"

#include <algorithm>

namespace keelson {

Histogram::Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

void Histogram::observe(double value) {
  auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  counts_[static_cast<size_t>(bound - bounds_.begin())]++;
  count_++;
  sum_ += value;
}

std::vector<double> exponential_bounds(double first, double factor, int count) {
  std::vector<double> bounds;
  for (double bound = first; count > 0; count--, bound *= factor) {
    bounds.push_back(bound);
  }
  return bounds;
}

std::vector<double> linear_bounds(double first, double step, int count) {
  std::vector<double> bounds;
  for (int i = 0; i < count; i++) {
    bounds.push_back(first + step * i);
  }
  return bounds;
}

std::vector<StatSample>& Stats::samples(const std::string& name, StatType type, const std::string& help) {
  auto [family, fresh] = families_.try_emplace(name);
  if (fresh) {
    family->second.type = type;
    family->second.help = help;
  }
  return family->second.samples;
}

void Stats::counter(const std::string& name, const std::string& help, double value, StatLabels labels) {
  samples(name, StatType::counter, help).push_back({std::move(labels), value, {}});
}

void Stats::gauge(const std::string& name, const std::string& help, double value, StatLabels labels) {
  samples(name, StatType::gauge, help).push_back({std::move(labels), value, {}});
}

void Stats::histogram(const std::string& name, const std::string& help, const Histogram& value, StatLabels labels) {
  samples(name, StatType::histogram, help).push_back({std::move(labels), 0, {value}});
}

}  // namespace keelson
