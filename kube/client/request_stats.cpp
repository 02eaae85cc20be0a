// SPDX-License-Identifier: Apache-2.0
#include "kube/client/request_stats.h"

namespace keelson::kube {

void RequestStats::count(const Attempt& attempt) {
  const std::lock_guard guard(mutex_);
  requests_.add({{"code", attempt.status == 0 ? "<error>" : std::to_string(attempt.status)},
                 {"host", attempt.host},
                 {"method", attempt.method}});
  if (!attempt.watch) {
    durations_.observe({{"host", attempt.host}, {"verb", attempt.method}}, attempt.time);
  }
}

void RequestStats::collect(Stats& stats) const {
  const std::lock_guard guard(mutex_);
  requests_.collect(stats, "rest_client_requests_total",
                    "Number of HTTP requests, partitioned by status code, method, and host.");
  durations_.collect(stats, "rest_client_request_duration_seconds",
                     "Request latency in seconds. Broken down by verb, and host.");
}

}  // namespace keelson::kube
