// SPDX-License-Identifier: Apache-2.0
// How requests to the API servers went, in client-go's own metrics: names, labels, buckets and help texts, so that the
// dashboards and alerts of every Kubernetes component go on.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "common/clock.h"
#include "common/stats.h"

namespace keelson::kube {

/// One thread at a time.
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
  std::map<std::tuple<std::string, std::string, std::string>, uint64_t> requests_;  // by code, method, host
  std::map<std::pair<std::string, std::string>, Histogram> durations_;              // by verb, host
};

}  // namespace keelson::kube
