// SPDX-License-Identifier: Apache-2.0
#include "kube/client/request_stats.h"

#include <gtest/gtest.h>

namespace keelson::kube {
namespace {

TEST(RequestStats, CountsByCodeAndTimesWhatIsNoWatch) {
  RequestStats stats;
  stats.count({.method = "GET", .host = "a:6443", .status = 200, .time = std::chrono::milliseconds(20)});
  stats.count({.method = "GET", .host = "a:6443", .status = 200, .time = std::chrono::seconds(20), .watch = true});
  stats.count({.method = "GET", .host = "a:6443", .status = 0, .time = std::chrono::seconds(5)});
  Stats collected;
  stats.collect(collected);
  const auto& requests = collected.families().at("rest_client_requests_total");
  ASSERT_EQ(requests.samples.size(), 2u);
  EXPECT_EQ(requests.type, StatType::counter);
  EXPECT_EQ(requests.samples[0].labels, (StatLabels{{"code", "200"}, {"host", "a:6443"}, {"method", "GET"}}));
  EXPECT_EQ(requests.samples[0].value, 2);
  EXPECT_EQ(requests.samples[1].labels[0].second, "<error>");
  EXPECT_EQ(requests.samples[1].value, 1);
  const auto& durations = collected.families().at("rest_client_request_duration_seconds");
  ASSERT_EQ(durations.samples.size(), 1u);
  EXPECT_EQ(durations.samples[0].labels, (StatLabels{{"host", "a:6443"}, {"verb", "GET"}}));
  EXPECT_EQ(durations.samples[0].histogram[0].count(), 2u);
  EXPECT_EQ(durations.samples[0].histogram[0].counts()[1], 1u) << "over 5 ms, up to 25 ms";
}

}  // namespace
}  // namespace keelson::kube
