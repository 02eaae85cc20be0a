// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/pod_counters.h"

#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;

kube::Pod pod(const std::string& uid, kube::PodPhase phase) {
  kube::Pod made;
  made.metadata.uid = uid;
  made.status.phase = phase;
  return made;
}

TEST(PodCounters, TellHowLongStartsTook) {
  FakeClock clock;
  PodCounters counters(clock);
  counters.changed(pod("new", kube::PodPhase::pending), false);
  counters.changed(pod("adopted", kube::PodPhase::running), false);
  clock.advance(2500ms);
  counters.changed(pod("new", kube::PodPhase::running), false);
  clock.advance(1h);
  counters.changed(pod("new", kube::PodPhase::running), false);
  counters.changed(pod("adopted", kube::PodPhase::running), false);
  Stats stats;
  counters.collect(stats);
  const auto& start = stats.families().at("kubelet_pod_start_duration_seconds").samples.at(0).histogram.at(0);
  EXPECT_EQ(start.count(), 1U) << "who was there before us has not been started";
  EXPECT_EQ(start.sum(), 2.5);
}

}  // namespace
}  // namespace keelson::agent
