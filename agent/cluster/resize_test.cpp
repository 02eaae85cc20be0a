// SPDX-License-Identifier: Apache-2.0
// Which changes of resources are given, which wait, and what is left of them when the agent begins anew.
#include "agent/cluster/resize.h"

#include <gmock/gmock.h>

#include "agent/cluster/pod_ledger.h"
#include "kube/status_patch.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;

constexpr WallTime kNow(1'700'000'000s);

kube::Pod make_pod(const std::string& name, int cpu) {
  kube::Pod pod;
  pod.metadata.name = name;
  pod.metadata.ns = "default";
  pod.metadata.uid = "uid-" + name;
  pod.metadata.generation = 1;
  auto& container = pod.spec.containers.emplace_back();
  container.name = "c";
  container.resources.requests["cpu"] = container.resources.limits["cpu"] = kube::Quantity::of(cpu);
  return pod;
}

kube::Pod resized(kube::Pod pod, int cpu) {
  auto& resources = pod.spec.containers[0].resources;
  resources.requests["cpu"] = resources.limits["cpu"] = kube::Quantity::of(cpu);
  ++pod.metadata.generation;
  return pod;
}

/// As the agent has said it.
kube::Pod accepted(kube::Pod pod) {
  pod.status.start_time = kNow;
  auto& status = pod.status.container_statuses.emplace_back();
  status.name = "c";
  status.resources = pod.spec.containers[0].resources;
  status.allocated_resources = pod.spec.containers[0].resources.requests;
  return pod;
}

// A node of 4 CPUs.
class ResizeTest : public ::testing::Test {
 protected:
  ResizeTest() { ledger.node_is(kube::OwnNode()); }

  int64_t cpus(const std::string& name) { return wanted(name).spec.containers[0].resources.requests.at("cpu").whole(); }
  std::string pending(const std::string& name) {
    for (const auto& condition : wanted(name).status.conditions) {
      if (condition.type == kube::kResizePending) {
        return condition.reason + ": " + condition.message;
      }
    }
    return "";
  }
  kube::Pod wanted(const std::string& name) { return ledger.wanted(kNow).pods.at("default/" + name); }
  /// Of the only label's value.
  static double count(const CounterVec& counts, const char* label, const char* value) {
    Stats stats;
    counts.collect(stats, "counts", "");
    const auto found = stats.families().find("counts");
    for (const auto& sample : found != stats.families().end() ? found->second.samples : std::vector<StatSample>()) {
      if (sample.labels == StatLabels{{label, value}}) {
        return sample.value;
      }
    }
    return 0;
  }
  bool change(kube::Pod pod) { return ledger.changed({.changed = {std::move(pod)}, .removed = {}}); }

  PodLedger ledger{{.node_name = "n1", .allocatable = {{"cpu", kube::Quantity::of(4)}}, .labels = {}}};
};

TEST_F(ResizeTest, APodThatWentBeforeTheFolderWasReadIsNotJudged) {
  ledger = PodLedger(
      {.node_name = "n1", .has_manifests = true, .allocatable = {{"cpu", kube::Quantity::of(4)}}, .labels = {}});
  ledger.node_is(kube::OwnNode());
  ledger.synced({resized(accepted(make_pod("a", 1)), 9)}, false);
  EXPECT_EQ(cpus("a"), 1) << "it never fits";
  ledger.synced({}, false);
  EXPECT_THAT(ledger.wanted(kNow).pods, IsEmpty());
  EXPECT_THAT(ledger.resizes(), IsEmpty());
}

TEST_F(ResizeTest, WhatFitsIsGiven) {
  const auto pod = make_pod("a", 1);
  ledger.synced({pod}, false);
  EXPECT_EQ(cpus("a"), 1);
  EXPECT_TRUE(change(resized(pod, 3)));
  EXPECT_EQ(cpus("a"), 3);
  EXPECT_EQ(pending("a"), "");
  EXPECT_TRUE(change(resized(pod, 2))) << "less again";
  EXPECT_EQ(cpus("a"), 2);
  EXPECT_THAT(ledger.resizes(), IsEmpty());
}

TEST_F(ResizeTest, WishesAreCountedOnce) {
  const auto pod = make_pod("a", 1);
  ledger.synced({pod}, false);
  wanted("a");
  change(resized(pod, 9));
  wanted("a");
  change(resized(pod, 9));
  change(pod);
  auto free = pod;
  free.spec.containers[0].resources.limits.clear();
  change(free);
  Stats stats;
  ledger.requested_resizes().collect(stats, "resizes", "");
  const auto count = [&](const char* operation, const char* requirement) {
    for (const auto& sample : stats.families().at("resizes").samples) {
      if (sample.labels == StatLabels{{"operation", operation}, {"requirement", requirement}, {"resource", "cpu"}}) {
        return sample.value;
      }
    }
    return 0.0;
  };
  EXPECT_EQ(count("increase", "requests"), 1) << "though it cannot be";
  EXPECT_EQ(count("increase", "limits"), 1);
  EXPECT_EQ(count("decrease", "requests"), 1) << "taken back";
  EXPECT_EQ(count("remove", "limits"), 1);
  EXPECT_EQ(count("add", "limits"), 0);
}

TEST_F(ResizeTest, WhatDoesNotFitWaitsForOthersToLeave) {
  const auto pod = make_pod("a", 1);
  ledger.synced({pod, make_pod("b", 2)}, false);
  wanted("a");
  change(resized(pod, 3));
  EXPECT_EQ(cpus("a"), 1) << "it goes on with what it has";
  EXPECT_EQ(pending("a"),
            "Deferred: Node didn't have enough resource: cpu, requested: 3000, used: 2000, capacity: 4000");
  EXPECT_FALSE(change(resized(pod, 3))) << "nothing new";
  EXPECT_EQ(ledger.resizes().size(), 1U);
  ledger.stopped("uid-b");
  EXPECT_EQ(cpus("a"), 3);
  EXPECT_EQ(pending("a"), "");
  EXPECT_EQ(count(ledger.accepted_late(), "retry_trigger", "pods_removed"), 1);
}

TEST_F(ResizeTest, WhatOthersWaitForTakesNothing) {
  const auto pod = make_pod("a", 1);
  ledger.synced({pod, make_pod("b", 2)}, false);
  wanted("a");
  change(resized(pod, 3));
  wanted("a");
  change(make_pod("late", 1));
  EXPECT_EQ(wanted("late").status.reason, "") << "one CPU is free, for the other is deferred";
}

TEST_F(ResizeTest, AGuaranteedPodKeepsTheCpusThatItCameWith) {
  PodLedger pinned{
      {.node_name = "n1", .allocatable = {{"cpu", kube::Quantity::of(4)}}, .labels = {}, .static_cpus = true}};
  pinned.node_is(kube::OwnNode());
  auto guaranteed = make_pod("a", 1);
  auto& resources = guaranteed.spec.containers[0].resources;
  resources.requests["memory"] = resources.limits["memory"] = kube::Quantity::of(1 << 20);
  pinned.synced({guaranteed, make_pod("b", 1)}, false);
  pinned.wanted(kNow);
  pinned.changed({.changed = {resized(guaranteed, 2), resized(make_pod("b", 1), 2)}, .removed = {}});
  const auto state = pinned.wanted(kNow);
  EXPECT_EQ(state.pods.at("default/a").spec.containers[0].resources.requests.at("cpu").whole(), 1);
  ASSERT_FALSE(state.pods.at("default/a").status.conditions.empty());
  EXPECT_EQ(state.pods.at("default/a").status.conditions.back().reason, "Infeasible");
  EXPECT_EQ(state.pods.at("default/a").status.conditions.back().message,
            "Resize is infeasible for Guaranteed Pods alongside CPU Manager policy \"static\"");
  EXPECT_EQ(count(pinned.infeasible_resizes(), "reason_detail", "guaranteed_pod_cpu_manager_static_policy"), 1);
  EXPECT_EQ(state.pods.at("default/b").spec.containers[0].resources.requests.at("cpu").whole(), 2) << "it is Burstable";
  auto more = guaranteed;
  more.metadata.generation = 3;
  more.spec.containers[0].resources.requests["memory"] = more.spec.containers[0].resources.limits["memory"] =
      kube::Quantity::of(2 << 20);
  pinned.changed({.changed = {more}, .removed = {}});
  EXPECT_EQ(pinned.wanted(kNow).pods.at("default/a").spec.containers[0].resources.requests.at("memory").whole(),
            2 << 20)
      << "memory alone is as ever";
}

TEST_F(ResizeTest, WhatTheNodeHasNotIsInfeasible) {
  const auto pod = make_pod("a", 1);
  ledger.synced({pod}, false);
  wanted("a");
  change(resized(pod, 5));
  EXPECT_EQ(pending("a"), "Infeasible: Node didn't have enough capacity: cpu, requested: 5000, capacity: 4000");
  EXPECT_EQ(cpus("a"), 1);
  EXPECT_EQ(count(ledger.infeasible_resizes(), "reason_detail", "insufficient_node_allocatable"), 1);
  wanted("a");
  EXPECT_EQ(count(ledger.infeasible_resizes(), "reason_detail", "insufficient_node_allocatable"), 1) << "counted once";
  change(pod);
  EXPECT_EQ(pending("a"), "") << "taken back";
}

TEST_F(ResizeTest, SwapIsNotResized) {
  PodLedger swaps(
      {.node_name = "n1", .allocatable = {{"cpu", kube::Quantity::of(4)}}, .labels = {}, .limits_swap = true});
  swaps.node_is(kube::OwnNode());
  auto pod = make_pod("a", 1);
  auto& container = pod.spec.containers[0];
  container.resources.requests["memory"] = kube::Quantity::of(64 << 20);
  container.resources.limits["memory"] = kube::Quantity::of(128 << 20);
  swaps.synced({pod}, false);
  swaps.wanted(kNow);
  auto more = pod;
  more.spec.containers[0].resources.requests["memory"] = kube::Quantity::of(96 << 20);
  swaps.changed({.changed = {more}, .removed = {}});
  const auto& waiting = swaps.wanted(kNow).pods.at("default/a");
  EXPECT_EQ(waiting.spec.containers[0].resources.requests.at("memory").whole(), 64 << 20);
  EXPECT_EQ(swaps.resizes().begin()->second.condition->message,
            "In-place resize of containers with swap is not supported.");
  EXPECT_EQ(count(swaps.infeasible_resizes(), "reason_detail", "swap_limitation"), 1);
  more.spec.containers[0].resources.requests["memory"] = container.resources.requests["memory"];
  more.spec.containers[0].resources.limits["memory"] = kube::Quantity::of(256 << 20);
  swaps.changed({.changed = {more}, .removed = {}});
  swaps.wanted(kNow);
  EXPECT_THAT(swaps.resizes(), IsEmpty()) << "its share stays the same";
}

TEST_F(ResizeTest, ANewAgentGoesOnFromTheStatus) {
  const auto waits = resized(accepted(make_pod("a", 1)), 4);
  ledger.synced({waits, accepted(make_pod("b", 2))}, false);
  EXPECT_EQ(cpus("a"), 1) << "what it was given, not what it waits for";
  EXPECT_EQ(pending("a").substr(0, 8), "Deferred");
  ledger.synced({waits}, false);
  EXPECT_EQ(cpus("a"), 4);
  ledger.synced({waits}, false);
  EXPECT_EQ(cpus("a"), 4) << "given, though the status does not say so yet";
}

TEST_F(ResizeTest, APodThatIsNotAdmittedYetIsJudgedAsItIs) {
  PodLedger fresh({.node_name = "n1", .allocatable = {{"cpu", kube::Quantity::of(4)}}, .labels = {}});
  const auto pod = make_pod("a", 1);
  fresh.synced({pod}, false);  // the Node is not known: nobody is admitted
  fresh.changed({.changed = {resized(pod, 5)}, .removed = {}});
  fresh.node_is(kube::OwnNode());
  EXPECT_EQ(fresh.wanted(kNow).pods.at("default/a").status.reason, "OutOfcpu");
}

}  // namespace
}  // namespace keelson::agent
