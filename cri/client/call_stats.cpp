// SPDX-License-Identifier: Apache-2.0
#include "cri/client/call_stats.h"

namespace keelson::cri {

namespace {

bool counts(const Error* error) {
  return error != nullptr && error->kind() != Kind::cancelled;
}

}  // namespace

void CallStats::count(std::string_view operation, Duration time, const Error* error) {
  const std::lock_guard guard(mutex_);
  const StatLabels labels = {{"operation_type", std::string(operation)}};
  calls_.add(labels);
  durations_.observe(labels, time);
  if (counts(error)) {
    errors_.add(labels);
  }
}

void CallStats::count_sandbox(const std::string& handler, Duration time, const Error* error) {
  const std::lock_guard guard(mutex_);
  const StatLabels labels = {{"runtime_handler", handler}};
  sandboxes_.observe(labels, time);
  if (counts(error)) {
    sandbox_errors_.add(labels);
  }
}

void CallStats::stream_opened() {
  const std::lock_guard guard(mutex_);
  ++streams_;
}

void CallStats::stream_ended() {
  const std::lock_guard guard(mutex_);
  ++stream_errors_;
}

void CallStats::event_told(Duration late) {
  const std::lock_guard guard(mutex_);
  lateness_.observe(std::chrono::duration<double>(late).count());
}

void CallStats::collect(Stats& stats) const {
  const std::lock_guard guard(mutex_);
  calls_.collect(stats, "kubelet_runtime_operations_total",
                 "[ALPHA] Cumulative number of runtime operations by operation type.");
  errors_.collect(stats, "kubelet_runtime_operations_errors_total",
                  "[ALPHA] Cumulative number of runtime operation errors by operation type.");
  durations_.collect(stats, "kubelet_runtime_operations_duration_seconds",
                     "[ALPHA] Duration in seconds of runtime operations. Broken down by operation type.");
  sandboxes_.collect(
      stats, "kubelet_run_podsandbox_duration_seconds",
      "[ALPHA] Duration in seconds of the run_podsandbox operations. Broken down by RuntimeClass.Handler.");
  sandbox_errors_.collect(stats, "kubelet_run_podsandbox_errors_total",
                          "[ALPHA] Cumulative number of the run_podsandbox operation errors by RuntimeClass.Handler.");
  stats.counter("kubelet_evented_pleg_connection_success_count",
                "[ALPHA] The number of times a streaming client was obtained to receive CRI Events.",
                static_cast<double>(streams_));
  stats.counter("kubelet_evented_pleg_connection_error_count",
                "[ALPHA] The number of errors encountered during the establishment of streaming connection with the "
                "CRI runtime.",
                static_cast<double>(stream_errors_));
  stats.histogram("kubelet_evented_pleg_connection_latency_seconds",
                  "[ALPHA] The latency of streaming connection with the CRI runtime, measured in seconds.", lateness_);
}

}  // namespace keelson::cri
