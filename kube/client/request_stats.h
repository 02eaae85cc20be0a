// SPDX-License-Identifier: Apache-2.0
// How requests to the API servers went, in client-go's own metrics: names, labels, buckets and help texts, so that the
// dashboards and alerts of every Kubernetes component go on.
#pragma once

#include <mutex>
#include <string>

#include "common/clock.h"
#include "common/stats.h"

namespace keelson::kube {

/// Thread-safe: the clients of a program share one, whatever their threads.
class RequestStats {
 public:
  struct Attempt {
    std::string method;  ///< "GET"
    std::string host;    ///< "10.0.0.1:6443"
    int status = 0;      ///< 0: no answer.
    Duration time{0};    ///< Until its headers were there.
    bool watch = false;  ///< Its time says how long nothing happened: not observed, as in client-go.
  };
  void count(const Attempt& attempt);
  /// rest_client_requests_total{code,method,host}, rest_client_request_duration_seconds{verb,host}.
  void collect(Stats& stats) const;

 private:
  mutable std::mutex mutex_;
  CounterVec requests_;
  HistogramVec durations_{{0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0}};
};

}  // namespace keelson::kube
