// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/eviction_options.h"

#include "cmd/keelson/setting_values.h"

namespace keelson::cli {

namespace {

Result<agent::ImagePolicy> image_policy(const NodeConfig& config) {
  agent::ImagePolicy policy;
  KEELSON_TRY(const auto high, parse_count("imageGCHighThresholdPercent", config.image_gc_high_threshold, 0, 100));
  KEELSON_TRY(const auto low, parse_count("imageGCLowThresholdPercent", config.image_gc_low_threshold, 0, 100));
  if (low >= high) {
    return fail(Kind::invalid, "imageGCLowThresholdPercent: {} is not less than imageGCHighThresholdPercent, {}", low,
                high);
  }
  policy.high_percent = static_cast<int>(high);
  policy.low_percent = static_cast<int>(low);
  KEELSON_TRY(policy.minimum_age, parse_duration(config.image_minimum_gc_age).context("imageMinimumGCAge"));
  KEELSON_TRY(policy.maximum_age, parse_duration(config.image_maximum_gc_age).context("imageMaximumGCAge"));
  if (policy.maximum_age > Duration(0) && policy.maximum_age <= policy.minimum_age) {
    return fail(Kind::invalid, "imageMaximumGCAge: {} is not more than imageMinimumGCAge, {}",
                config.image_maximum_gc_age, config.image_minimum_gc_age);
  }
  return policy;
}

}  // namespace

Result<EvictionSettings> eviction_settings(const NodeConfig& config) {
  EvictionSettings settings;
  KEELSON_TRY(settings.evictor.thresholds, agent::parse_eviction({.hard = config.eviction_hard,
                                                                  .soft = config.eviction_soft,
                                                                  .soft_grace = config.eviction_soft_grace_period,
                                                                  .minimum_reclaim = config.eviction_minimum_reclaim}));
  KEELSON_TRY(settings.evictor.pressure_transition,
              parse_duration(config.eviction_pressure_transition_period).context("evictionPressureTransitionPeriod"));
  KEELSON_TRY(const auto grace,
              parse_count("evictionMaxPodGracePeriod", config.eviction_max_pod_grace_period, 0, 1 << 20));
  settings.evictor.max_pod_grace = std::chrono::seconds(grace);
  KEELSON_TRY(settings.images, image_policy(config));
  return settings;
}

}  // namespace keelson::cli
