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

std::vector<double> default_bounds() {
  return {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
}

void CounterVec::collect(Stats& stats, const std::string& name, const std::string& help) const {
  for (const auto& [labels, value] : values_) {
    stats.counter(name, help, value, labels);
  }
}

void HistogramVec::observe(const StatLabels& labels, double value) {
  values_.try_emplace(labels, empty_).first->second.observe(value);
}

void HistogramVec::observe(const StatLabels& labels, std::chrono::nanoseconds time) {
  observe(labels, std::chrono::duration<double>(time).count());
}

void HistogramVec::collect(Stats& stats, const std::string& name, const std::string& help) const {
  for (const auto& [labels, histogram] : values_) {
    stats.histogram(name, help, histogram, labels);
  }
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
