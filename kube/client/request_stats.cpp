// SPDX-License-Identifier: Apache-2.0
#include "kube/client/request_stats.h"

namespace keelson::kube {

void RequestStats::count(const Attempt& attempt) {
  auto code = attempt.status == 0 ? "<error>" : std::to_string(attempt.status);
  requests_[{std::move(code), attempt.method, attempt.host}]++;
  if (attempt.watch) {
    return;
  }
  static const Histogram kEmpty({0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0});
  auto [histogram, fresh] = durations_.try_emplace({attempt.method, attempt.host}, kEmpty);
  histogram->second.observe(std::chrono::duration<double>(attempt.time).count());
}

void RequestStats::collect(Stats& stats) const {
  for (const auto& [labels, count] : requests_) {
    const auto& [code, method, host] = labels;
    stats.counter("rest_client_requests_total",
                  "Number of HTTP requests, partitioned by status code, method, and host.", static_cast<double>(count),
                  {{"code", code}, {"host", host}, {"method", method}});
  }
  for (const auto& [labels, histogram] : durations_) {
    stats.histogram("rest_client_request_duration_seconds",
                    "Request latency in seconds. Broken down by verb, and host.", histogram,
                    {{"host", labels.second}, {"verb", labels.first}});
  }
}

}  // namespace keelson::kube
