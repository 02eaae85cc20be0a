// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/shutdown_options.h"

#include <algorithm>
#include <charconv>

#include "common/duration.h"

namespace keelson::cli {

namespace {

constexpr const char* kByPriority = "shutdownGracePeriodByPodPriority";

/// In whole seconds, as a pod's grace is.
Result<std::chrono::seconds> parse_seconds(const char* key, const std::string& text) {
  KEELSON_TRY(const auto time, parse_duration(text).context("{}", key));
  if (time % std::chrono::seconds(1) != Duration(0)) {
    return fail(Kind::invalid, "{}: '{}' is not a number of whole seconds", key, text);
  }
  return std::chrono::duration_cast<std::chrono::seconds>(time);
}

Result<agent::ShutdownPeriod> parse_period(const std::string& text) {
  const size_t sign = text.find('=');
  agent::ShutdownPeriod period;
  const auto [end, error] = std::from_chars(text.data(), text.data() + std::min(sign, text.size()), period.priority);
  if (sign == std::string::npos || error != std::errc() || end != text.data() + sign) {
    return fail(Kind::invalid, "{}: '{}' is not PRIORITY=DURATION, such as 100000=30s", kByPriority, text);
  }
  KEELSON_TRY(period.grace, parse_seconds(kByPriority, text.substr(sign + 1)));
  return period;
}

}  // namespace

Result<std::vector<agent::ShutdownPeriod>> shutdown_periods(const NodeConfig& config) {
  KEELSON_TRY(const auto whole, parse_seconds("shutdownGracePeriod", config.shutdown_grace_period));
  KEELSON_TRY(const auto critical,
              parse_seconds("shutdownGracePeriodCriticalPods", config.shutdown_grace_period_critical_pods));
  if (critical > whole) {
    return fail(Kind::invalid, "shutdownGracePeriodCriticalPods: {} is more than shutdownGracePeriod, {}",
                config.shutdown_grace_period_critical_pods, config.shutdown_grace_period);
  }
  std::vector<agent::ShutdownPeriod> periods;
  for (const auto& text : config.shutdown_grace_period_by_pod_priority) {
    KEELSON_TRY(const auto period, parse_period(text));
    if (std::ranges::find(periods, period.priority, &agent::ShutdownPeriod::priority) != periods.end()) {
      return fail(Kind::invalid, "{}: priority {} is given twice", kByPriority, period.priority);
    }
    periods.push_back(period);
  }
  if (!periods.empty() && whole.count() > 0) {
    return fail(Kind::invalid, "{} and shutdownGracePeriod: one of them is to be given, not both", kByPriority);
  }
  return periods.empty() ? agent::shutdown_periods(whole, critical) : periods;
}

}  // namespace keelson::cli
