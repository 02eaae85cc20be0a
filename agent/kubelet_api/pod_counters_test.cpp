// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/pod_counters.h"

#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;

kube::Pod pod(const std::string& uid, kube::PodPhase phase, int restarts = -1) {
  kube::Pod made;
  made.metadata.uid = uid;
  made.status.phase = phase;
  if (restarts >= 0) {
    auto& container = made.status.container_statuses.emplace_back();
    container.name = "main";
    container.container_id = "keelson://1";
    container.restart_count = restarts;
  }
  return made;
}

TEST(PodCounters, CountStartsAndHowLongTheyTook) {
  FakeClock clock;
  PodCounters counters(clock);
  counters.changed(pod("new", kube::PodPhase::pending), false);
  counters.changed(pod("adopted", kube::PodPhase::running, 5), false);
  clock.advance(2500ms);
  counters.changed(pod("new", kube::PodPhase::running, 0), false);
  clock.advance(1h);
  counters.changed(pod("new", kube::PodPhase::running, 2), false);
  counters.changed(pod("adopted", kube::PodPhase::running, 6), false);
  Stats stats;
  counters.collect(stats);
  const auto& start = stats.families().at("kubelet_pod_start_duration_seconds").samples.at(0).histogram.at(0);
  EXPECT_EQ(start.count(), 1U) << "who was there before us has not been started";
  EXPECT_EQ(start.sum(), 2.5);
  EXPECT_EQ(stats.families().at("kubelet_started_pods_total").samples.at(0).value, 1);
  EXPECT_EQ(stats.families().at("kubelet_started_containers_total").samples.at(0).value, 4);
  counters.changed(pod("new", kube::PodPhase::running, 2), true);
  counters.changed(pod("new", kube::PodPhase::pending), false);
  Stats again;
  counters.collect(again);
  EXPECT_EQ(again.families().at("kubelet_started_pods_total").samples.at(0).value, 2);
}

}  // namespace
}  // namespace keelson::agent
