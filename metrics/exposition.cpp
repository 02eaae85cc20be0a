// SPDX-License-Identifier: Apache-2.0
#include "metrics/exposition.h"

#include <prometheus/text_serializer.h>

#include <limits>

namespace keelson::metrics {
namespace {

prometheus::MetricType type_of(StatType type) {
  switch (type) {
    case StatType::counter:
      return prometheus::MetricType::Counter;
    case StatType::gauge:
      return prometheus::MetricType::Gauge;
    case StatType::histogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

prometheus::ClientMetric::Histogram histogram_of(const Histogram& from) {
  prometheus::ClientMetric::Histogram result;
  result.sample_count = from.count();
  result.sample_sum = from.sum();
  uint64_t so_far = 0;
  for (size_t i = 0; i < from.counts().size(); i++) {
    so_far += from.counts()[i];
    bool last = i == from.bounds().size();
    result.bucket.push_back({so_far, last ? std::numeric_limits<double>::infinity() : from.bounds()[i]});
  }
  return result;
}

prometheus::ClientMetric sample_of(StatType type, const StatSample& from) {
  prometheus::ClientMetric result;
  for (const auto& [name, value] : from.labels) {
    result.label.push_back({name, value});
  }
  result.counter.value = from.value;
  result.gauge.value = from.value;
  if (type == StatType::histogram && !from.histogram.empty()) {
    result.histogram = histogram_of(from.histogram.front());
  }
  return result;
}

}  // namespace

std::string prometheus_text(const Stats& stats, std::optional<WallTime> at) {
  std::vector<prometheus::MetricFamily> families;
  for (const auto& [name, from] : stats.families()) {
    prometheus::MetricFamily family{name, from.help, type_of(from.type), {}};
    for (const auto& sample : from.samples) {
      family.metric.push_back(sample_of(from.type, sample));
      if (at) {
        family.metric.back().timestamp_ms = at->time_since_epoch() / std::chrono::milliseconds(1);
      }
    }
    families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace keelson::metrics
