// SPDX-License-Identifier: Apache-2.0
// What is said of pods.
#include "agent/pod_status.h"

#include <gtest/gtest.h>

#include "agent/plan_world.h"

namespace keelson::agent {
namespace {

using namespace testing;
using kube::PodPhase;
using kube::RestartPolicy;

TEST(PodStatus, ConditionsAndTheirReasons) {
  World w(pod_of({"i1"}, {"a", "b"}), {instance("i1", RunState::running)});
  auto status = w.status();
  auto find = [&](std::string_view type) {
    return *std::ranges::find(status.conditions, type, &kube::PodCondition::type);
  };
  EXPECT_EQ(find("Initialized").reason, "ContainersNotInitialized");
  EXPECT_EQ(find("Initialized").message, "containers with incomplete status: [i1]");
  EXPECT_EQ(find("Ready").message, "containers with unready status: [a b]");
  EXPECT_EQ(status.container_statuses[0].state.waiting->reason, "PodInitializing");
  World up(pod_of({}, {"a"}), {instance("a", RunState::running)});
  status = up.status();
  EXPECT_TRUE(is_ready(status));
  EXPECT_EQ(status.pod_ip, "10.0.0.2");
  up.pod.spec.readiness_gates = {"x.dev/gate"};
  status = up.status();
  EXPECT_EQ(find("Ready").reason, "ReadinessGatesNotReady");
  EXPECT_EQ(find("ContainersReady").status, kube::ConditionStatus::true_status);
}

TEST(PodStatus, AFinalPhaseNeverChanges) {
  World w(pod_of({}, {"a"}), {instance("a", RunState::running)});
  EXPECT_EQ(w.status({.phase = PodPhase::failed, .reason = "Evicted"}).phase, PodPhase::failed);
  EXPECT_EQ(w.status({.phase = PodPhase::failed, .reason = "Evicted"}).reason, "Evicted");
}

TEST(PodStatus, ALostContainerHasEndedSomehowAndIsRestarted) {
  World w(pod_of({}, {"a"}), {});
  kube::PodStatus said{.phase = PodPhase::running};
  said.container_statuses.push_back(
      {.name = "a", .state = {.running = kube::ContainerRunning{kNow}}, .restart_count = 4});
  w.pod.status = said;
  auto status = w.status(said);
  EXPECT_EQ(status.phase, PodPhase::running);
  auto a = status.container_statuses[0];
  EXPECT_EQ(a.state.waiting->reason, "ContainerCreating");
  EXPECT_EQ(a.last_state.terminated->reason, "ContainerStatusUnknown");
  EXPECT_EQ(a.last_state.terminated->exit_code, 137);
  EXPECT_EQ(a.restart_count, 5);
  EXPECT_EQ(w.status(status).container_statuses[0], a) << "it is counted once";
  EXPECT_EQ(w.steps(), "start_container a 0") << "the worker looks for logs";
  w.observed.containers = {instance("a", RunState::running, 0, 5)};
  EXPECT_EQ(w.status(status).container_statuses[0].last_state.terminated->exit_code, 137);
  // What may not run again has failed.
  World never(pod_of({}, {"a"}, RestartPolicy::never), {});
  never.pod.status = said;
  EXPECT_EQ(never.steps(), "stop_sandbox s0");
  status = never.status(said);
  EXPECT_EQ(status.phase, PodPhase::failed);
  EXPECT_EQ(status.container_statuses[0].state.terminated->reason, "ContainerStatusUnknown");
}

TEST(PodStatus, ALostContainerThatHadEndedIsNotRunAgain) {
  World w(pod_of({}, {"a", "b"}, RestartPolicy::on_failure), {instance("b", RunState::running)});
  kube::PodStatus said{.phase = PodPhase::running};
  said.container_statuses.push_back({.name = "a", .state = {.terminated = kube::ContainerTerminated{.exit_code = 0}}});
  w.pod.status = said;
  EXPECT_EQ(w.steps(), "");
  EXPECT_EQ(w.status(said).container_statuses[0].state.terminated->exit_code, 0);
  w.pod.status.container_statuses[0].state.terminated->exit_code = 1;
  EXPECT_EQ(w.steps(), "start_container a 0");
}

TEST(PodStatus, OneAddressAFamilyThatOfTheNodesFirstAhead) {
  using Ips = std::vector<std::string>;
  const Ips ips{"fd00::2", "10.0.0.2", "10.0.0.3"};
  EXPECT_EQ(in_family_order(ips, {.ips = {"192.0.2.1", "2001:db8::1"}}), (Ips{"10.0.0.2", "fd00::2"}));
  EXPECT_EQ(in_family_order(ips, {.ips = {"2001:db8::1"}}), (Ips{"fd00::2", "10.0.0.2"}));
  EXPECT_EQ(in_family_order({"fd00::2"}, {}), Ips{"fd00::2"});
}

TEST(PodStatus, TerminationMessagesOfAPodShareTwelveKibibytes) {
  World w(pod_of({}, {"a", "b", "c", "d", "e", "f"}, RestartPolicy::never), {});
  for (const auto* name : {"a", "b", "c", "d", "e", "f"}) {
    w.observed.containers.push_back(instance(name, RunState::exited));
    w.observed.containers.back().message = std::string(4096, 'x');
  }
  EXPECT_EQ(w.status().container_statuses[5].state.terminated->message.size(), 2048U);
  w.pod.spec.containers.resize(3);
  EXPECT_EQ(w.status().container_statuses[2].state.terminated->message.size(), 4096U);
}

TEST(WhyWaiting, IsToldInTheKubeletsWords) {
  kube::PodStatus status;
  const auto waits = [&status](const std::string& reason) {
    status.container_statuses.assign(1, kube::ContainerStatus());
    status.container_statuses[0].name = "main";
    status.container_statuses[0].state.waiting = kube::ContainerWaiting{.reason = reason, .message = {}};
    return why_waiting(status, "main");
  };
  EXPECT_EQ(waits("ContainerCreating"), ": ContainerCreating");
  EXPECT_EQ(waits("ErrImagePull"), ": image can't be pulled");
  EXPECT_EQ(waits("ImagePullBackOff"), ": trying and failing to pull image");
  EXPECT_EQ(why_waiting(status, "other"), " - no logs yet");
}

}  // namespace
}  // namespace keelson::agent
