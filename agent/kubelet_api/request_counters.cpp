// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/request_counters.h"

#include <algorithm>
#include <map>

namespace keelson::agent {

namespace {

constexpr std::string_view kPaths[] = {
    "attach",  "checkpoint",  "configz", "containerLogs",    "debug",          "exec",
    "healthz", "logs",        "metrics", "metrics/cadvisor", "metrics/probes", "metrics/resource",
    "pods",    "portForward", "run",     "runningpods",      "stats",          "metrics/slis"};
constexpr std::string_view kMethods[] = {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS",
                                         "PATCH",   "POST",   "PUT", "TRACE"};
constexpr std::string_view kLong[] = {"attach", "debug", "exec", "portforward"};  // as the kubelet spells them

/// Only so many are told as there are, whatever is asked for.
std::string bucket_of(std::string_view path) {
  path.remove_prefix(path.starts_with('/') ? 1 : 0);
  size_t end = path.find('/');
  if (path.substr(0, end) == "metrics" && end != path.npos) {
    end = path.find('/', end + 1);
  }
  path = path.substr(0, end);
  return std::string(std::ranges::find(kPaths, path) != std::end(kPaths) ? path : "other");
}

}  // namespace

struct RequestCounters::State {
  explicit State(const Clock& c) : clock(c) {}
  const Clock& clock;
  CounterVec requests;
  HistogramVec durations{default_bounds()};
  std::map<StatLabels, double> open;
};

RequestCounters::RequestCounters(const Clock& clock) : state_(std::make_shared<State>(clock)) {}

std::shared_ptr<void> RequestCounters::begin(const std::string& method, std::string_view path) {
  const auto bucket = bucket_of(path);
  StatLabels labels = {{"long_running", std::ranges::find(kLong, bucket) != std::end(kLong) ? "true" : "false"},
                       {"method", std::ranges::find(kMethods, method) != std::end(kMethods) ? method : "other"},
                       {"path", bucket},
                       {"server_type", "readwrite"}};
  state_->requests.add(labels);
  ++state_->open[labels];
  const SteadyTime began = state_->clock.steady();
  return {nullptr, [state = state_, labels = std::move(labels), began](void*) {
            --state->open[labels];
            state->durations.observe(labels, state->clock.steady() - began);
          }};
}

void RequestCounters::collect(Stats& stats) const {
  state_->requests.collect(stats, "kubelet_http_requests_total",
                           "[ALPHA] Number of the http requests received since the server started");
  state_->durations.collect(stats, "kubelet_http_requests_duration_seconds",
                            "[ALPHA] Duration in seconds to serve http requests");
  for (const auto& [labels, count] : state_->open) {
    stats.gauge("kubelet_http_inflight_requests", "[ALPHA] Number of the inflight http requests", count, labels);
  }
}

}  // namespace keelson::agent
