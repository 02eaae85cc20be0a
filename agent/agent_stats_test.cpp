// SPDX-License-Identifier: Apache-2.0
// What the agent tells of its workers and pods, under the kubelet's names.
#include "agent/agent_fixture.h"

namespace keelson::agent::testing {
namespace {

class AgentStatsTest : public AgentTest {
 protected:
  /// Of a histogram, how many were observed; 0: there is no such row.
  double value(const std::string& name, const StatLabels& labels = {}) {
    Stats stats;
    agent->collect(stats);
    const auto family = stats.families().find(name);
    for (const auto& sample : family != stats.families().end() ? family->second.samples : std::vector<StatSample>()) {
      if (sample.labels == labels) {
        return sample.histogram.empty() ? sample.value : static_cast<double>(sample.histogram[0].count());
      }
    }
    return 0;
  }
  double passes(const char* operation) {
    return value("kubelet_pod_worker_duration_seconds", {{"operation_type", operation}});
  }
  double working(const char* config, const char* lifecycle) {
    return value("kubelet_working_pods", {{"config", config}, {"lifecycle", lifecycle}, {"static", ""}});
  }
};

TEST_F(AgentStatsTest, AWorkersPassesAreCountedByWhatTheyAreFor) {
  auto web = make_pod("web", "u1");
  want({web});
  EXPECT_EQ(passes("create"), 1);
  EXPECT_EQ(passes("update"), 0);
  EXPECT_GE(passes("sync"), 1) << "the runtime had news";
  web.metadata.labels["tier"] = "front";
  want({web});
  EXPECT_EQ(passes("update"), 1);
  EXPECT_EQ(passes("kill"), 0);
  want({});
  loop.advance(clock, 60s);
  EXPECT_GE(passes("kill"), 1);
  EXPECT_EQ(passes("terminated"), 1);
  EXPECT_EQ(passes("create"), 1);
}

TEST_F(AgentStatsTest, StartsAndTheirFailuresAreCountedByTheirKind) {
  auto web = make_pod("web", "u1", {"main", "bad"});
  web.spec.containers[1].image = "missing";
  kube::Container first;
  first.name = "first";
  first.image = "img";
  web.spec.init_containers.push_back(first);
  world.exits_with["first"] = 0;
  want({web});
  loop.advance(clock, 5s);
  EXPECT_EQ(value("kubelet_started_pods_total"), 1);
  EXPECT_EQ(value("kubelet_started_pods_errors_total"), 0);
  EXPECT_EQ(value("kubelet_started_containers_total", {{"container_type", "init_container"}}), 1);
  EXPECT_EQ(value("kubelet_started_containers_total", {{"container_type", "container"}}), 2);
  EXPECT_EQ(
      value("kubelet_started_containers_errors_total", {{"code", "ErrImagePull"}, {"container_type", "container"}}), 1);
  EXPECT_EQ(value("kubelet_image_pull_duration_seconds", {{"image_size_in_bytes", "0-10MB"}}), 1)
      << "of one that was pulled";
  EXPECT_EQ(value("kubelet_containers_per_pod_count"), 1);
}

TEST_F(AgentStatsTest, ASandboxThatFailsIsCounted) {
  world.before_call = [](std::string_view call) {
    return call.starts_with("create_sandbox") ? Result<>(fail(Kind::internal, "no")) : Result<>();
  };
  want({make_pod("web", "u1")});
  EXPECT_EQ(value("kubelet_started_pods_total"), 1);
  EXPECT_EQ(value("kubelet_started_pods_errors_total"), 1);
}

TEST_F(AgentStatsTest, WhatAPodDoesNotGetIsTold) {
  world.odd = {{"MissingClusterDNS", "there is none"}};
  want({make_pod("web", "u1")});
  EXPECT_EQ(reasons("web").front(), "MissingClusterDNS");
}

TEST_F(AgentStatsTest, PodsAreCountedByWhetherTheyAreWanted) {
  want({make_pod("web", "u1"), make_pod("db", "u2")});
  EXPECT_EQ(value("kubelet_desired_pods", {{"static", ""}}), 2);
  EXPECT_EQ(value("kubelet_active_pods", {{"static", ""}}), 2);
  EXPECT_EQ(working("desired", "sync"), 2);
  world.stop_takes = 20s;
  want({make_pod("web", "u1")});
  EXPECT_EQ(value("kubelet_desired_pods", {{"static", ""}}), 1);
  EXPECT_EQ(working("desired", "sync"), 1);
  EXPECT_EQ(working("orphan", "terminating"), 1);
}

/// As the kubelet does of folders of pods that have gone.
TEST_F(AgentStatsTest, OrphansAreToldByTheLastLookAndThoseThatStayAsErrors) {
  const auto told = [this] {
    return std::pair(value("kubelet_orphan_pod_cleaned_volumes"), value("kubelet_orphan_pod_cleaned_volumes_errors"));
  };
  want({});
  EXPECT_EQ(told(), std::pair(0.0, 0.0));
  world.prepared = {"u1", "u2"};
  world.before_call = [this](std::string_view call) {
    return call == "clean_up" && world.prepared.size() == 1 ? Result<>(fail(Kind::internal, "busy")) : Result<>();
  };
  loop.advance(clock, 31s);
  EXPECT_EQ(told(), std::pair(2.0, 0.0));
  EXPECT_EQ(world.prepared.size(), 1U);
  loop.advance(clock, 30s);
  EXPECT_EQ(told(), std::pair(1.0, 1.0)) << "it is still there";
  world.before_call = [](std::string_view) { return Result<>(); };
  loop.advance(clock, 400s);
  EXPECT_TRUE(world.prepared.empty());
  EXPECT_EQ(told(), std::pair(0.0, 0.0));
}

}  // namespace
}  // namespace keelson::agent::testing
