// SPDX-License-Identifier: Apache-2.0
// Requests to the kubelet's API, counted as the kubelet counts them.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/stats.h"

namespace keelson::agent {

/// Belongs to the serving loop; `clock` outlives it and its tickets.
class RequestCounters {
 public:
  explicit RequestCounters(const Clock& clock);

  /// A request, from when this is called until the answer, its body or session included, lets go of what is returned.
  std::shared_ptr<void> begin(const std::string& method, std::string_view path);
  /// kubelet_http_requests_total, kubelet_http_requests_duration_seconds and kubelet_http_inflight_requests
  /// {method,path,server_type,long_running}. A path is told by its first part, or as "other".
  void collect(Stats& stats) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace keelson::agent
