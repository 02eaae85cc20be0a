// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/start_latency.h"

#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;

constexpr WallTime kCreated{1'700'000'000s};

kube::Pod pod(const std::string& name, bool accepted, bool runs) {
  kube::Pod made;
  made.metadata.name = name;
  made.metadata.ns = "default";
  made.metadata.uid = "uid-" + name;
  made.metadata.creation_timestamp = kCreated;
  if (accepted) {
    made.status.start_time = kCreated + 1s;
  }
  auto& status = made.status.container_statuses.emplace_back();
  if (runs) {
    status.state.running = kube::ContainerRunning{.started_at = kCreated + 5s};
  }
  return made;
}

TEST(PullTime, IsFromTheFirstBeginToTheLastEnd) {
  FakeClock clock;
  Timeline timeline(clock);
  EXPECT_EQ(pull_time(timeline), 0s);
  clock.advance(1s);
  timeline.enter("pull", "a");
  clock.advance(2s);
  timeline.enter("create", "a");
  clock.advance(3s);
  timeline.enter("pull", "b");
  clock.advance(4s);
  timeline.leave();
  clock.advance(5s);
  EXPECT_EQ(pull_time(timeline), 9s);
}

TEST(StartLatency, IsFromCreationUntilTheWatchTellsThatAllRun) {
  StartLatency latency([](const kube::Pod&) { return 4s; });
  latency.seen(pod("web", false, false), kCreated + 1s);
  latency.seen(pod("old", true, false), kCreated + 1s);
  latency.seen(pod("web", true, false), kCreated + 2s);
  latency.seen(pod("web", true, true), kCreated + 7s);
  latency.seen(pod("web", true, true), kCreated + 100s);
  latency.seen(pod("old", true, true), kCreated + 7s);
  Stats stats;
  latency.collect(stats);
  const auto& total = stats.families().at("kubelet_pod_start_total_duration_seconds").samples[0].histogram[0];
  EXPECT_EQ(total.count(), 1U) << "once, and not of one that another life of the agent has begun with";
  EXPECT_EQ(total.sum(), 7);
  EXPECT_EQ(stats.families().at("kubelet_pod_start_sli_duration_seconds").samples[0].histogram[0].sum(), 3)
      << "without the pulls";
  EXPECT_EQ(stats.families().at("kubelet_first_network_pod_start_sli_duration_seconds").samples[0].value, 3);
}

}  // namespace
}  // namespace keelson::agent
