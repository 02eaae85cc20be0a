// SPDX-License-Identifier: Apache-2.0
// How calls to the runtime went, in the kubelet's own metrics: names, labels, buckets and help texts.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/result.h"
#include "common/stats.h"

namespace keelson::cri {

/// Thread-safe: the clients of a program share one, whatever their threads.
class CallStats {
 public:
  /// `operation` as the kubelet says it: "run_podsandbox". A call that the caller took back is no error.
  void count(std::string_view operation, Duration time, const Error* error);
  /// The same of a sandbox, for its handler (RuntimeClass).
  void count_sandbox(const std::string& handler, Duration time, const Error* error);

  /// The stream of container events is open; it has ended, or could not be opened.
  void stream_opened();
  void stream_ended();
  /// An event came so long after it had happened.
  void event_told(Duration late);

  /// kubelet_runtime_operations_total, _errors_total and _duration_seconds{operation_type};
  /// kubelet_run_podsandbox_duration_seconds and _errors_total{runtime_handler};
  /// kubelet_evented_pleg_connection_success_count, _error_count and _latency_seconds.
  void collect(Stats& stats) const;

 private:
  mutable std::mutex mutex_;
  CounterVec calls_;
  CounterVec errors_;
  HistogramVec durations_{exponential_bounds(0.005, 2.5, 14)};
  HistogramVec sandboxes_{default_bounds()};
  CounterVec sandbox_errors_;
  uint64_t streams_ = 0;
  uint64_t stream_errors_ = 0;
  Histogram lateness_{default_bounds()};
};

}  // namespace keelson::cri
