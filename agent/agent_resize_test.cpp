// SPDX-License-Identifier: Apache-2.0
// Containers that get other resources while they run.
#include "agent/agent_fixture.h"
#include "kube/status_patch.h"

namespace keelson::agent::testing {
namespace {

class AgentResizeTest : public AgentTest {
 protected:
  static kube::Pod sized(int cpu) {
    auto pod = make_pod("web", "u1");
    auto& resources = pod.spec.containers[0].resources;
    resources.requests["cpu"] = resources.limits["cpu"] = kube::Quantity::of(cpu);
    return pod;
  }
  std::string in_progress() {
    for (const auto& condition : pod("web").status.conditions) {
      if (condition.type == kube::kResizeInProgress) {
        return condition.reason + ": " + condition.message;
      }
    }
    return "no";
  }
  int64_t cpus_in_force() { return pod("web").status.container_statuses[0].resources->limits.at("cpu").whole(); }
};

TEST_F(AgentResizeTest, InPlace) {
  want({sized(1)});
  EXPECT_EQ(count("resize_container"), 0U) << "it was made so";
  EXPECT_EQ(cpus_in_force(), 1);
  want({sized(2)});
  EXPECT_EQ(count("resize_container"), 1U);
  EXPECT_EQ(cpus_in_force(), 2);
  EXPECT_EQ(in_progress(), "no");
  EXPECT_EQ(count("create_container"), 1U) << "never restarted";
  const auto events = agent->events().list("default", "web");
  EXPECT_EQ(events.back().reason, "ResizeCompleted");
  EXPECT_EQ(events.back().message,
            R"(Pod resize completed: {"containers":[{"name":"main","resources":{"limits":{"cpu":"2"},)"
            R"("requests":{"cpu":"2"}}}]})");
  loop.advance(clock, 200s);
  EXPECT_EQ(count("resize_container"), 1U);
}

TEST_F(AgentResizeTest, ByRestartWhereThePolicySaysSo) {
  auto with_policy = [](int cpu) {
    auto pod = sized(cpu);
    pod.spec.restart_policy = kube::RestartPolicy::never;  // which is about what ends by itself
    pod.spec.containers[0].resize_policy = {
        {.resource_name = "cpu", .restart_policy = kube::ResizeRestart::restart_container}};
    return pod;
  };
  want({with_policy(1)});
  want({with_policy(2)});
  loop.advance(clock, 1s);
  EXPECT_EQ(count("resize_container"), 0U);
  EXPECT_EQ(count("create_container"), 2U);
  EXPECT_EQ(pod("web").status.container_statuses[0].restart_count, 1);
  EXPECT_EQ(cpus_in_force(), 2);
  EXPECT_EQ(in_progress(), "no");
}

TEST_F(AgentResizeTest, WhatCannotBeIsToldAndTriedAgain) {
  want({sized(2)});
  world.before_call = [](std::string_view call) -> Result<> {
    return call.starts_with("resize") ? fail(Kind::conflict, "below current usage") : Result<>();
  };
  want({sized(1)});
  EXPECT_EQ(in_progress(), "Error: below current usage");
  EXPECT_EQ(std::ranges::count(reasons("web"), "ResizeCompleted"), 0);
  EXPECT_TRUE(is_ready(pod("web").status));
  EXPECT_EQ(cpus_in_force(), 2);
  world.before_call = [](std::string_view) { return Result<>(); };
  loop.advance(clock, 11s);
  EXPECT_EQ(in_progress(), "no");
  EXPECT_EQ(cpus_in_force(), 1);
}

TEST_F(AgentResizeTest, WithoutAQuotaForItHasItsOwnCpusNothingIsAmiss) {
  auto pinned = sized(1);
  pinned.spec.containers[0].resize_policy = {
      {.resource_name = "cpu", .restart_policy = kube::ResizeRestart::restart_container}};
  world.own = {"main"};
  want({pinned});
  ASSERT_EQ(world.containers.begin()->second.resources.cpu_quota, 0);
  end_agent();
  start_agent();
  want({pinned});
  loop.advance(clock, 10s);
  EXPECT_EQ(count("resize_container"), 0U);
  EXPECT_EQ(count("create_container"), 1U);
  EXPECT_EQ(cpus_in_force(), 1) << "as the spec has it";
  EXPECT_EQ(in_progress(), "no");
}

TEST_F(AgentResizeTest, ANewAgentFinishesWhatWasBegun) {
  want({sized(1)});
  end_agent();
  start_agent();
  want({sized(1)});
  EXPECT_EQ(count("resize_container"), 0U);
  end_agent();
  start_agent();
  want({sized(2)});
  EXPECT_EQ(count("resize_container"), 1U);
  EXPECT_EQ(cpus_in_force(), 2);
}

}  // namespace
}  // namespace keelson::agent::testing
