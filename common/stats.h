// SPDX-License-Identifier: Apache-2.0
// Numbers that a part tells of itself, without knowing who reads them: `void collect(Stats&)`. The room `metrics`
// writes them down for Prometheus, whose words these are.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace keelson {

/// Counts observations by size. Bounds are inclusive and rise; what is over the last one is counted, too.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);
  void observe(double value);

  const std::vector<double>& bounds() const { return bounds_; }
  /// By bound, and one more for what is over all of them.
  const std::vector<uint64_t>& counts() const { return counts_; }
  uint64_t count() const { return count_; }
  double sum() const { return sum_; }

 private:
  std::vector<double> bounds_;
  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  double sum_ = 0;
};

/// `first`, `first * factor`, ...: `count` of them.
std::vector<double> exponential_bounds(double first, double factor, int count);
/// `first`, `first + step`, ...
std::vector<double> linear_bounds(double first, double step, int count);

/// Prometheus' own: from 5 ms to 10 s.
std::vector<double> default_bounds();

enum class StatType { counter, gauge, histogram };
using StatLabels = std::vector<std::pair<std::string, std::string>>;

struct StatSample {
  StatLabels labels;
  double value = 0;                  ///< Of a counter or gauge.
  std::vector<Histogram> histogram;  ///< One, of a histogram.
};

struct StatFamily {
  StatType type = StatType::gauge;
  std::string help;
  std::vector<StatSample> samples;
};

/// What was collected, by name. The same name again adds a sample, which wants other labels. One thread at a time.
class Stats {
 public:
  /// `name` ends in "_total"; only grows while the process lives. `help`: a sentence for people.
  void counter(const std::string& name, const std::string& help, double value, StatLabels labels = {});
  void gauge(const std::string& name, const std::string& help, double value, StatLabels labels = {});
  void histogram(const std::string& name, const std::string& help, const Histogram& value, StatLabels labels = {});

  const std::map<std::string, StatFamily>& families() const { return families_; }

 private:
  std::vector<StatSample>& samples(const std::string& name, StatType type, const std::string& help);
  std::map<std::string, StatFamily> families_;
};

/// Counters of one name, by the values of their labels. One thread at a time.
class CounterVec {
 public:
  void add(const StatLabels& labels, double value = 1) { values_[labels] += value; }
  void collect(Stats& stats, const std::string& name, const std::string& help) const;

 private:
  std::map<StatLabels, double> values_;
};

/// Histograms of one name, the same way.
class HistogramVec {
 public:
  explicit HistogramVec(std::vector<double> bounds) : empty_(std::move(bounds)) {}
  void observe(const StatLabels& labels, double value);
  void observe(const StatLabels& labels, std::chrono::nanoseconds time);
  void collect(Stats& stats, const std::string& name, const std::string& help) const;

 private:
  Histogram empty_;
  std::map<StatLabels, Histogram> values_;
};

}  // namespace keelson
