// SPDX-License-Identifier: Apache-2.0
// What is patched of a status, and what never is.
#include "kube/status_patch.h"

#include <gtest/gtest.h>

namespace keelson::kube {
namespace {

constexpr WallTime kNow(std::chrono::seconds(1'700'000'000));

PodCondition condition(std::string type, ConditionStatus status, std::string reason = "") {
  PodCondition made;
  made.type = std::move(type);
  made.status = status;
  made.reason = std::move(reason);
  made.last_transition_time = kNow;
  return made;
}

PodStatus running() {
  PodStatus status;
  status.phase = PodPhase::running;
  status.conditions = {condition("Ready", ConditionStatus::true_status)};
  status.pod_ip = "10.0.0.2";
  status.pod_ips = {"10.0.0.2"};
  status.start_time = kNow;
  status.qos_class = QosClass::burstable;
  ContainerStatus container;
  container.name = "c";
  container.state.running = ContainerRunning{kNow};
  status.container_statuses = {container};
  return status;
}

TEST(StatusPatchTest, TheSameIsNoPatch) {
  auto says = running();
  says.start_time = kNow + std::chrono::milliseconds(300);  // the API has no fractions
  says.container_statuses[0].state.running->started_at = kNow + std::chrono::nanoseconds(1);
  says.conditions[0].last_transition_time = kNow + std::chrono::milliseconds(999);
  says.qos_class = QosClass::best_effort;
  EXPECT_EQ(status_patch("u", running(), says), std::nullopt);
}

TEST(StatusPatchTest, OnlyWhatDiffers) {
  auto says = running();
  says.phase = PodPhase::failed;
  says.reason = "Evicted";
  EXPECT_EQ(status_patch("u", running(), says),
            R"({"metadata":{"uid":"u"},"status":{"phase":"Failed","reason":"Evicted"}})");
  EXPECT_EQ(status_patch("u", says, running()),
            R"({"metadata":{"uid":"u"},"status":{"phase":"Running","reason":null}})");
}

TEST(StatusPatchTest, WhatIsOverIsTakenAway) {
  auto has = running();
  has.conditions.push_back(condition(kResizePending, ConditionStatus::true_status, "Deferred"));
  has.conditions.push_back(condition("of/others", ConditionStatus::true_status));
  EXPECT_EQ(status_patch("u", has, running()),
            R"({"metadata":{"uid":"u"},"status":{"conditions":[{"$patch":"delete","type":"PodResizePending"}]}})");
}

TEST(StatusPatchTest, OfADisruptionOnlyTheNodesOwnIsNamed) {
  auto says = running();
  says.conditions.push_back(condition("DisruptionTarget", ConditionStatus::true_status, "PreemptionByScheduler"));
  EXPECT_EQ(status_patch("u", running(), says), std::nullopt);
  says.conditions.back().reason = "TerminationByKubelet";
  const auto patch = status_patch("u", running(), says);
  ASSERT_TRUE(patch.has_value());
  EXPECT_NE(patch->find(R"("reason":"TerminationByKubelet")"), std::string::npos) << *patch;
}

TEST(StatusPatchTest, ConditionsOfOthersAreNeverNamed) {
  auto has = running();
  has.conditions.push_back(condition("example.com/gate", ConditionStatus::true_status));
  has.conditions.push_back(condition("DisruptionTarget", ConditionStatus::true_status));
  EXPECT_EQ(status_patch("u", has, running()), std::nullopt);
  auto says = running();
  says.conditions.push_back(condition("example.com/gate", ConditionStatus::false_status));  // as it was a moment ago
  EXPECT_EQ(status_patch("u", has, says), std::nullopt);
}

TEST(StatusPatchTest, AConditionLosesItsReason) {
  auto has = running();
  has.conditions = {condition("Ready", ConditionStatus::false_status, "ContainersNotReady")};
  EXPECT_EQ(status_patch("u", has, running()),
            R"({"metadata":{"uid":"u"},"status":{"conditions":[{"status":"True","reason":null,"type":"Ready"}]}})");
}

TEST(StatusPatchTest, AddressesAreReplaced) {
  auto says = running();
  says.pod_ip = "10.0.0.3";
  says.pod_ips = {"10.0.0.3", "fd00::3"};
  EXPECT_EQ(status_patch("u", running(), says),
            R"({"metadata":{"uid":"u"},"status":{"podIP":"10.0.0.3",)"
            R"("podIPs":[{"$patch":"replace"},{"ip":"10.0.0.3"},{"ip":"fd00::3"}]}})");
}

}  // namespace
}  // namespace keelson::kube
