// SPDX-License-Identifier: Apache-2.0
// Who gets CPUs for itself, and which.
#include "agent/cpus/static_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/cpus/test_machines.h"
#include "agent/cpus/test_pods.h"

namespace keelson::cpus {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

StaticPolicy policy(Topology machine, StaticOptions options = {}, CpuSet reserved = {}, int count = 1) {
  return StaticPolicy::make(std::move(machine), options, std::move(reserved), count).value();
}

/// What it has, or why it has not.
std::string given(StaticPolicy& policy, CpuState& state, const kube::Pod& pod, const std::string& container = "main") {
  if (const auto refusal = policy.allocate(state, pod)) {
    return refusal->reason + ": " + refusal->message;
  }
  const auto own = state.own.find(pod.metadata.uid);
  return own == state.own.end() ? "" : own->second[container].to_string();
}

double value_of(const Stats& stats, const std::string& name, const StatLabels& labels = {}) {
  const auto family = stats.families().find(name);
  if (family != stats.families().end()) {
    for (const auto& sample : family->second.samples) {
      if (sample.labels == labels) {
        return sample.value;
      }
    }
  }
  return -1;
}

TEST(StaticPolicy, WhoAsksForWholeCpusOfAGuaranteedPod) {
  const auto wanted = [](const kube::Pod& pod) { return own_cpus_wanted(pod, pod.spec.containers.front()); };
  EXPECT_EQ(wanted(pod_of("u", "2")), 2);
  EXPECT_EQ(wanted(pod_of("u", "2000m")), 2);
  EXPECT_EQ(wanted(pod_of("u", "1500m")), 0);
  auto burstable = pod_of("u", "2");
  burstable.spec.containers[0].resources.limits["cpu"] = kube::Quantity::of(3);
  EXPECT_EQ(wanted(burstable), 0);
  auto best_effort = pod_of("u", "2");
  best_effort.spec.containers[0].resources = {};
  EXPECT_EQ(wanted(best_effort), 0);
  auto limited = pod_of("u", "2");
  limited.spec.resources = limited.spec.containers[0].resources;
  EXPECT_EQ(wanted(limited), 0) << "pod-level resources are not supported";
}

TEST(StaticPolicy, TheFirstCpusAreReserved) {
  EXPECT_EQ(policy(single_socket_ht(), {}, {}, 2).reserved(), CpuSet({0, 4}));
  EXPECT_EQ(policy(dual_socket_ht()).reserved(), CpuSet({0}));
  EXPECT_EQ(policy(single_socket_ht(), {}, CpuSet({3, 7}), 0).reserved(), CpuSet({3, 7})) << "or those that are named";
  EXPECT_EQ(policy(single_socket_ht(), {}, CpuSet({3, 7}), 0).allocatable(), CpuSet({0, 1, 2, 4, 5, 6}));
  EXPECT_EQ(StaticPolicy::make(single_socket_ht(), {}, {}, 0).error().message(),
            "[cpumanager] the static policy requires systemreserved.cpu + kubereserved.cpu to be greater than zero");
  EXPECT_EQ(StaticPolicy::make(single_socket_ht(), {}, {}, 9).error().message(),
            "[cpumanager] unable to reserve the required amount of CPUs (size of  did not equal 9)");
}

TEST(StaticPolicy, WhatIsGivenIsNotShared) {
  auto static_policy = policy(single_socket_ht());
  auto state = static_policy.fresh();
  EXPECT_EQ(state.shared, CpuSet({0, 1, 2, 3, 4, 5, 6, 7})) << "the reserved ones, too";
  EXPECT_EQ(given(static_policy, state, pod_of("a", "1")), "4") << "the rest of the core of which one is reserved";
  EXPECT_EQ(given(static_policy, state, pod_of("b", "2")), "1,5");
  EXPECT_EQ(given(static_policy, state, pod_of("c", "500m")), "");
  EXPECT_EQ(state.shared, CpuSet({0, 2, 3, 6, 7}));
  EXPECT_EQ(given(static_policy, state, pod_of("b", "2")), "1,5") << "asked again";
  EXPECT_EQ(given(static_policy, state, pod_of("d", "5")),
            "UnexpectedAdmissionError: Allocate failed due to not enough cpus available to satisfy request: "
            "requested=5, available=4, which is unexpected");
  EXPECT_FALSE(state.own.contains("d"));
  static_policy.release(state, "a");
  static_policy.release(state, "a");
  EXPECT_EQ(state.shared, CpuSet({0, 2, 3, 4, 6, 7}));
  static_policy.release(state, "b");
  EXPECT_EQ(state, static_policy.fresh());
}

TEST(StaticPolicy, APodGetsAllOrNothing) {
  auto static_policy = policy(single_socket_ht());
  auto state = static_policy.fresh();
  auto pod = pod_of("a", "4");
  pod.spec.containers.push_back(container("second", "4"));
  EXPECT_TRUE(static_policy.allocate(state, pod));
  EXPECT_EQ(state, static_policy.fresh());
}

TEST(StaticPolicy, InitContainersLeaveTheirCpusToThoseAfterThem) {
  auto static_policy = policy(single_socket_ht(), {}, CpuSet({0, 4}));
  auto state = static_policy.fresh();
  auto pod = pod_of("a", "2");
  auto sidecar = container("sidecar", "1");
  sidecar.restart_policy = kube::RestartPolicy::always;
  pod.spec.init_containers = {container("first", "4"), sidecar, container("last", "2")};
  EXPECT_EQ(given(static_policy, state, pod, "first"), "1-2,5-6");
  const auto own = state.own.at("a");
  EXPECT_EQ(own.at("sidecar"), CpuSet({1}));
  EXPECT_EQ(own.at("last"), CpuSet({2, 6})) << "a sidecar keeps what it has";
  EXPECT_EQ(own.at("main"), CpuSet({2, 6}));
  EXPECT_EQ(state.shared, CpuSet({0, 3, 4, 7})) << "none but those of the first is taken";
  const auto before = state;
  EXPECT_FALSE(static_policy.allocate(state, pod));
  EXPECT_EQ(state, before);
  static_policy.release(state, "a");
  EXPECT_EQ(state, static_policy.fresh());
}

TEST(StaticPolicy, WholeCoresOnly) {
  auto static_policy = policy(single_socket_ht(), {.full_cores = true});
  auto state = static_policy.fresh();
  EXPECT_EQ(given(static_policy, state, pod_of("a", "1")),
            "SMTAlignmentError: SMT Alignment Error: requested 1 cpus not multiple cpus per core = 2");
  EXPECT_EQ(given(static_policy, state, pod_of("b", "2")), "1,5");
  EXPECT_EQ(given(static_policy, state, pod_of("c", "6")),
            "SMTAlignmentError: SMT Alignment Error: not enough free physical CPUs: available physical CPUs = 4, "
            "requested CPUs = 6, CPUs per core = 2")
      << "the thread beside the reserved one is in no whole core";
  EXPECT_EQ(given(static_policy, state, pod_of("d", "4")), "2-3,6-7");
  EXPECT_EQ(given(static_policy, state, pod_of("d", "4")), "2-3,6-7") << "though no core is free now";
  Stats stats;
  static_policy.collect(state, stats);
  const StatLabels cores = {{"boundary", "physical_cpu"}, {"scope", "container"}};
  EXPECT_EQ(value_of(stats, "kubelet_container_aligned_compute_resources_count", cores), 2);
  EXPECT_EQ(value_of(stats, "kubelet_container_aligned_compute_resources_failure_count", cores), 2);
}

TEST(StaticPolicy, OptionsSayWhichAreTaken) {
  const auto taken = [](Topology machine, StaticOptions options, const char* cpus, CpuSet reserved = CpuSet({0})) {
    auto static_policy = policy(std::move(machine), options, std::move(reserved));
    auto state = static_policy.fresh();
    return given(static_policy, state, pod_of("a", cpus));
  };
  EXPECT_EQ(taken(dual_socket_ht(), {}, "4"), "2,4,8,10");
  EXPECT_EQ(taken(dual_socket_ht(), {.across_cores = true}, "4"), "2,4,6,8");
  EXPECT_EQ(taken(dual_socket_ht(), {.across_numa = true}, "8"), "1-4,7-10");
  EXPECT_EQ(taken(dual_socket_ht(), {.across_numa = true}, "7"), "1-3,6-9");
  EXPECT_EQ(taken(dual_socket_ht(), {.full_cores = true, .across_numa = true}, "8"), "1-4,7-10");
  EXPECT_EQ(taken(uncore_no_smt(), {.by_uncore = true}, "4"), "4-7");
}

TEST(StaticPolicy, WithAStrictReservationNobodySharesIt) {
  auto static_policy = policy(single_socket_ht(), {.strict_reservation = true}, CpuSet({0, 4}));
  auto state = static_policy.fresh();
  EXPECT_EQ(state.shared, CpuSet({1, 2, 3, 5, 6, 7}));
  EXPECT_EQ(given(static_policy, state, pod_of("a", "6")), "1-3,5-7");
  EXPECT_EQ(state.shared, CpuSet());
  EXPECT_THAT(static_policy.mend(state), IsEmpty()) << "a kubelet does not start with an empty pool";
  static_policy.release(state, "a");
  EXPECT_EQ(state, static_policy.fresh());
}

class MendTest : public ::testing::Test {
 protected:
  StaticPolicy policy_ = policy(single_socket_ht(), {}, CpuSet({0, 4}));
  CpuState state(const char* shared, Assignments own) {
    return {.policy = "static", .shared = CpuSet::parse(shared).value(), .own = std::move(own)};
  }
};

TEST_F(MendTest, WhatFitsStays) {
  auto good = state("0,2-4,6-7", {{"a", {{"main", CpuSet({1, 5})}, {"init", CpuSet({1})}}}});
  const auto before = good;
  EXPECT_THAT(policy_.mend(good), IsEmpty());
  EXPECT_EQ(good, before);
}

TEST_F(MendTest, WhatDoesNotIsToldInTheKubeletsWords) {
  auto fewer = state("0,4", {{"a", {{"main", CpuSet({1, 5})}}}});
  EXPECT_THAT(policy_.mend(fewer), ElementsAre("current set of available CPUs \"0-7\" doesn't match with CPUs in state "
                                               "\"0-1,4-5\""));
  EXPECT_EQ(fewer, state("0,2-4,6-7", {{"a", {{"main", CpuSet({1, 5})}}}})) << "CPUs came online: they are shared";

  auto taken = state("1-3,5-7", {{"a", {{"main", CpuSet({0, 4})}}}});
  EXPECT_THAT(policy_.mend(taken),
              ElementsAre("not all reserved cpus: \"0,4\" are present in defaultCpuSet: \"1-3,5-7\"",
                          "pod: a, container: main cpuset: \"0,4\" is not to be had"));
  EXPECT_EQ(taken, policy_.fresh());

  auto twice = state("0,2-4,6-7", {{"a", {{"main", CpuSet({1, 5})}}}, {"b", {{"main", CpuSet({5})}}}});
  EXPECT_THAT(policy_.mend(twice), ElementsAre("pod: b, container: main cpuset: \"5\" is not to be had"));
  EXPECT_TRUE(twice.own.contains("a"));
  EXPECT_FALSE(twice.own.contains("b"));

  auto shared = state("0-7", {{"a", {{"main", CpuSet({1, 5})}}}});
  EXPECT_THAT(policy_.mend(shared),
              ElementsAre("pod: a, container: main cpuset: \"1,5\" overlaps with default cpuset \"0-7\""));
  EXPECT_EQ(shared.shared, CpuSet({0, 2, 3, 4, 6, 7}));

  auto strict = policy(single_socket_ht(), {.strict_reservation = true}, CpuSet({0, 4}));
  auto open = state("0-7", {});
  EXPECT_EQ(strict.mend(open).front(), "some of strictly reserved cpus: \"0,4\" are present in defaultCpuSet: \"0-7\"");
  EXPECT_EQ(open, strict.fresh());
}

TEST_F(MendTest, WhatRunsIsGivenWhatItHas) {
  auto now = policy_.fresh();
  EXPECT_TRUE(policy_.give(now, "a", "main", CpuSet({1, 5})));
  EXPECT_FALSE(policy_.give(now, "b", "main", CpuSet({5, 6}))) << "somebody has one";
  EXPECT_FALSE(policy_.give(now, "b", "main", CpuSet({0}))) << "it is reserved";
  EXPECT_FALSE(policy_.give(now, "b", "main", CpuSet()));
  EXPECT_EQ(now, state("0,2-4,6-7", {{"a", {{"main", CpuSet({1, 5})}}}}));
}

TEST(StaticPolicy, NumbersAreTold) {
  auto static_policy = policy(dual_socket_ht(), {}, CpuSet({0, 6}));
  auto state = static_policy.fresh();
  EXPECT_EQ(given(static_policy, state, pod_of("a", "6")), "1,3,5,7,9,11");
  EXPECT_TRUE(static_policy.allocate(state, pod_of("b", "5")));
  const auto collected = [&] {
    Stats stats;
    static_policy.collect(state, stats);
    return stats;
  };
  EXPECT_EQ(value_of(collected(), "kubelet_cpu_manager_pinning_requests_total"), 2);
  EXPECT_EQ(value_of(collected(), "kubelet_cpu_manager_pinning_errors_total"), 1);
  EXPECT_EQ(value_of(collected(), "kubelet_cpu_manager_shared_pool_size_millicores"), 4000) << "reserved ones aside";
  EXPECT_EQ(value_of(collected(), "kubelet_cpu_manager_exclusive_cpu_allocation_count"), 6);
  EXPECT_EQ(value_of(collected(), "kubelet_cpu_manager_allocation_per_numa", {{"numa_node", "1"}}), 6);
  EXPECT_EQ(value_of(collected(), "kubelet_container_aligned_compute_resources_count",
                     {{"boundary", "uncore_cache"}, {"scope", "container"}}),
            1);
  static_policy.release(state, "a");
  EXPECT_EQ(value_of(collected(), "kubelet_cpu_manager_exclusive_cpu_allocation_count"), 0);
  EXPECT_EQ(value_of(collected(), "kubelet_cpu_manager_allocation_per_numa", {{"numa_node", "1"}}), 0);
}

}  // namespace
}  // namespace keelson::cpus
