// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/request_counters.h"

#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;

TEST(RequestCounters, CountUntilTheAnswerIsGone) {
  FakeClock clock;
  RequestCounters counters(clock);
  auto session = counters.begin("POST", "/exec/default/web/main");
  counters.begin("GET", "/metrics/cadvisor").reset();
  counters.begin("BREW", "/coffee/0123456789").reset();
  clock.advance(2s);
  const StatLabels exec = {
      {"long_running", "true"}, {"method", "POST"}, {"path", "exec"}, {"server_type", "readwrite"}};
  const auto sample = [&](const Stats& stats, const std::string& name, const StatLabels& labels) {
    for (const auto& one : stats.families().at(name).samples) {
      if (one.labels == labels) {
        return one.histogram.empty() ? one.value : one.histogram[0].sum();
      }
    }
    return -1.0;
  };
  Stats during;
  counters.collect(during);
  EXPECT_EQ(sample(during, "kubelet_http_requests_total", exec), 1);
  EXPECT_EQ(sample(during, "kubelet_http_inflight_requests", exec), 1);
  EXPECT_EQ(sample(during, "kubelet_http_requests_duration_seconds", exec), -1) << "it goes on";
  session.reset();
  Stats after;
  counters.collect(after);
  EXPECT_EQ(sample(after, "kubelet_http_inflight_requests", exec), 0);
  EXPECT_EQ(sample(after, "kubelet_http_requests_duration_seconds", exec), 2);
  EXPECT_EQ(
      sample(
          after, "kubelet_http_requests_total",
          {{"long_running", "false"}, {"method", "GET"}, {"path", "metrics/cadvisor"}, {"server_type", "readwrite"}}),
      1);
  EXPECT_EQ(sample(after, "kubelet_http_requests_total",
                   {{"long_running", "false"}, {"method", "other"}, {"path", "other"}, {"server_type", "readwrite"}}),
            1)
      << "what a stranger asks for makes no new rows";
}

}  // namespace
}  // namespace keelson::agent
