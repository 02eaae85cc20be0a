// SPDX-License-Identifier: Apache-2.0
// Shares, quotas and OOM scores, against the kubelet's numbers.
#include "agent/config/resources.h"

#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

kube::ResourceList amounts(const char* cpu, const char* memory) {
  return {{"cpu", kube::Quantity::parse(cpu).value()}, {"memory", kube::Quantity::parse(memory).value()}};
}

kube::Container container(const std::string& name, kube::ResourceList requests, kube::ResourceList limits) {
  kube::Container made;
  made.name = name;
  made.resources.requests = std::move(requests);
  made.resources.limits = std::move(limits);
  return made;
}

/// The pod of the documentation's "frontend" example: app and log-aggregator, each 250m/64Mi of 500m/128Mi.
kube::Pod frontend() {
  kube::Pod pod;
  pod.metadata = {.name = "frontend", .ns = "default", .uid = "u1"};
  for (const char* name : {"app", "log-aggregator"}) {
    pod.spec.containers.push_back(container(name, amounts("250m", "64Mi"), amounts("500m", "128Mi")));
  }
  return pod;
}

TEST(Resources, SharesAndQuotas) {
  struct Row {
    int64_t milli, shares, quota;
  };
  for (auto row :
       {Row{0, 2, 0}, Row{1, 2, 1000}, Row{2, 2, 1000}, Row{3, 3, 1000}, Row{10, 10, 1000}, Row{11, 11, 1100},
        Row{250, 256, 25'000}, Row{1000, 1024, 100'000}, Row{1'000'000, 262'144, 100'000'000}}) {
    EXPECT_EQ(cpu_shares(row.milli), row.shares) << row.milli;
    EXPECT_EQ(cpu_quota(row.milli, CpuQuotas()), row.quota) << row.milli;
  }
}

TEST(Resources, TheFrontendExactly) {
  auto pod = frontend();
  auto app = container_resources(pod, pod.spec.containers[0], {.memory = int64_t{16} << 30});
  EXPECT_EQ(app.cpu_shares, 256);
  EXPECT_EQ(app.cpu_period, 100'000);
  EXPECT_EQ(app.cpu_quota, 50'000);
  EXPECT_EQ(app.memory_limit_bytes, 134'217'728);
  EXPECT_EQ(app.oom_score_adj, 997);  // 1000 - 1000 x 64 Mi / 16 Gi, rounded
  auto limits = pod_limits_of(pod, {});
  EXPECT_EQ(limits.cpu_shares, 512);
  EXPECT_EQ(limits.cpu_quota, 100'000);
  EXPECT_EQ(limits.memory_limit, 268'435'456);
  EXPECT_EQ(requested_milli_cpu(pod), 500);
  EXPECT_EQ(pod_cgroup(cgroup::Driver::cgroupfs, "/", pod), "/kubepods/burstable/podu1");
  EXPECT_EQ(pod_cgroup(cgroup::Driver::cgroupfs, "/mine", pod), "/mine/kubepods/burstable/podu1");
  EXPECT_EQ(pod_cgroup(cgroup::Driver::systemd, "/", pod),
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podu1.slice");
}

TEST(Resources, AmountsAreLimitsOfACgroup) {
  const kube::ResourceList amounts = {{"cpu", kube::Quantity::of_milli(1500)},
                                      {"memory", kube::Quantity::of(1 << 30)},
                                      {"pid", kube::Quantity::of(1000)},
                                      {"ephemeral-storage", kube::Quantity::of(5)},
                                      {"hugepages-2Mi", kube::Quantity::of(4 << 20)}};
  const auto limits = limits_of(amounts);
  EXPECT_EQ(limits.cpu_shares, 1536);
  EXPECT_EQ(limits.memory, 1 << 30);
  EXPECT_EQ(limits.processes, 1000);
  ASSERT_EQ(limits.huge_pages.size(), 1U);
  EXPECT_EQ(limits.huge_pages[0].page_size, "2MB");
  EXPECT_EQ(limits.huge_pages[0].bytes, 4U << 20);
  const auto compressible = limits_of(amounts, true);
  EXPECT_EQ(compressible.cpu_shares, 1536);
  EXPECT_EQ(compressible.memory + compressible.processes, 0);
}

TEST(Resources, APodIsLimitedOnlyIfEveryContainerIs) {
  auto pod = frontend();
  pod.spec.containers[1].resources.limits.erase("memory");
  EXPECT_EQ(pod_limits_of(pod, {}).memory_limit, 0);
  EXPECT_EQ(pod_limits_of(pod, {}).cpu_quota, 100'000);
}

TEST(Resources, ClassesAndTheirScores) {
  auto pod = frontend();
  for (auto& each : pod.spec.containers) {
    each.resources.requests = each.resources.limits;
  }
  EXPECT_EQ(oom_score_adj(pod, pod.spec.containers[0], 1 << 30), -997);
  EXPECT_EQ(pod_cgroup(cgroup::Driver::cgroupfs, "/", pod), "/kubepods/podu1");
  for (auto& each : pod.spec.containers) {
    each.resources = {};
  }
  EXPECT_EQ(oom_score_adj(pod, pod.spec.containers[0], 1 << 30), 1000);
  EXPECT_EQ(pod_cgroup(cgroup::Driver::cgroupfs, "/", pod), "/kubepods/besteffort/podu1");
  EXPECT_EQ(pod_limits_of(pod, {}).cpu_shares, 2);
  pod.spec.priority_class_name = "system-node-critical";
  EXPECT_EQ(oom_score_adj(pod, pod.spec.containers[0], 1 << 30), -997) << "whatever it asks for";
}

TEST(Resources, BurstableScoresStayBetweenTheOthers) {
  auto pod = frontend();
  auto& app = pod.spec.containers[0];
  EXPECT_EQ(oom_score_adj(pod, app, 128 << 20), 500);
  EXPECT_EQ(oom_score_adj(pod, app, 64 << 20), 3);
  EXPECT_EQ(oom_score_adj(pod, app, int64_t{1} << 50), 999);
}

TEST(Resources, ASidecarIsKilledNoSoonerThanTheSmallestMain) {
  auto pod = frontend();
  pod.spec.containers[0].resources.requests = amounts("250m", "512Mi");
  pod.spec.containers[1].resources.requests = amounts("250m", "128Mi");
  auto sidecar = container("proxy", amounts("10m", "1Mi"), {});
  sidecar.restart_policy = kube::RestartPolicy::always;
  pod.spec.init_containers = {sidecar};
  EXPECT_EQ(oom_score_adj(pod, pod.spec.init_containers[0], 1 << 30), 875);
  pod.spec.init_containers[0].resources.requests = amounts("10m", "256Mi");
  EXPECT_EQ(oom_score_adj(pod, pod.spec.init_containers[0], 1 << 30), 750);
  pod.spec.init_containers[0].restart_policy.reset();
  pod.spec.init_containers[0].resources.requests = amounts("10m", "0");
  EXPECT_EQ(oom_score_adj(pod, pod.spec.init_containers[0], 1 << 30), 999);
}

TEST(Resources, ALimitAloneIsARequestToo) {
  auto pod = frontend();
  auto& app = pod.spec.containers[0];
  app.resources.requests.erase("cpu");
  EXPECT_EQ(container_resources(pod, app, {.memory = 1 << 30}).cpu_shares, 512);
}

TEST(Resources, HugePagesThatAreNotAskedForAreNone) {
  const NodeCgroups node{.memory = 1 << 30, .page_sizes = {"2MB", "1GB"}};
  auto pod = frontend();
  auto& app = pod.spec.containers[0];
  EXPECT_EQ(container_resources(pod, app, node).hugepage_limits, (cri::StringMap{{"2MB", "0"}, {"1GB", "0"}}));
  app.resources.limits["hugepages-2048Ki"] = kube::Quantity::of(4 << 20);
  app.resources.limits["hugepages-64Ki"] = kube::Quantity::of(4 << 20);  // the machine has none
  app.resources.requests = app.resources.limits;
  EXPECT_EQ(container_resources(pod, app, node).hugepage_limits, (cri::StringMap{{"2MB", "4194304"}, {"1GB", "0"}}));
  const auto of_pod = pod_limits_of(pod, node).huge_pages;
  ASSERT_EQ(of_pod.size(), 2u);
  EXPECT_EQ(of_pod[0].page_size, "1GB");
  EXPECT_EQ(of_pod[0].bytes, 0u);
  EXPECT_EQ(of_pod[1].bytes, 4u << 20);
  EXPECT_EQ(page_size_text(64 << 10), "64KB");
  EXPECT_EQ(page_size_text(int64_t{16} << 30), "16GB");
}

TEST(Resources, NoContainerSwapsAndWantOfMemoryEndsAllOfIt) {
  auto pod = frontend();
  const auto& app = pod.spec.containers[0];
  EXPECT_EQ(container_resources(pod, app, {.unified = true, .counts_swap = true}).unified,
            (cri::StringMap{{"memory.oom.group", "1"}, {"memory.swap.max", "0"}}));
  EXPECT_EQ(container_resources(pod, app, {.unified = true}).unified, (cri::StringMap{{"memory.oom.group", "1"}}));
  const auto first = container_resources(pod, app, {.counts_swap = true});
  EXPECT_EQ(first.unified, cri::StringMap());
  EXPECT_EQ(first.memory_swap_limit_bytes, first.memory_limit_bytes);
  EXPECT_EQ(container_resources(pod, app, {}).memory_swap_limit_bytes, 0);
}

TEST(Resources, WithLimitedSwapABurstableContainerHasItsShare) {
  const NodeCgroups node{.memory = 1 << 30,
                         .unified = true,
                         .counts_swap = true,
                         .rules = {.limited_swap = true},
                         .swap = int64_t{2} << 30};
  const auto swap = [&](const kube::Pod& pod, const NodeCgroups& on) {
    return container_resources(pod, pod.spec.containers[0], on).unified["memory.swap.max"];
  };
  auto pod = frontend();
  auto& resources = pod.spec.containers[0].resources;
  resources.requests["memory"] = kube::Quantity::of(64 << 20);
  resources.limits["memory"] = kube::Quantity::of(128 << 20);
  EXPECT_EQ(swap(pod, node), std::to_string(128 << 20)) << "a sixteenth of the machine's, as of its memory";
  auto other = node;
  other.rules.limited_swap = false;
  EXPECT_EQ(swap(pod, other), "0");
  other = node;
  other.unified = false;
  EXPECT_EQ(container_resources(pod, pod.spec.containers[0], other).unified, cri::StringMap()) << "the first cgroups";
  pod.spec.priority = 2'000'000'000;
  EXPECT_EQ(swap(pod, node), "0") << "critical";
  pod.spec.priority.reset();
  resources.requests["memory"] = resources.limits["memory"];
  EXPECT_EQ(swap(pod, node), "0") << "nothing beyond what it requests";
  resources.requests["memory"] = resources.limits["memory"] = kube::Quantity::of(0);
  EXPECT_EQ(swap(pod, node), "0") << "it requests no memory";
  resources.requests["memory"] = kube::Quantity::of(int64_t{2} << 30);
  EXPECT_EQ(swap(pod, node), "0") << "more than the machine has";
}

TEST(Resources, WantOfMemoryMayEndOneProcess) {
  auto pod = frontend();
  const NodeCgroups node{.unified = true, .rules = {.single_oom_kill = true}};
  EXPECT_EQ(container_resources(pod, pod.spec.containers[0], node).unified, cri::StringMap());
}

TEST(Resources, ContainersShareWhatIsSetForTheirPod) {
  auto pod = frontend();
  pod.spec.containers[0].resources = {};
  pod.spec.containers[1].resources = {.limits = {}, .requests = amounts("250m", "64Mi"), .claims = {}};
  pod.spec.resources.emplace().limits = amounts("2", "512Mi");
  pod.spec.resources->requests = amounts("1", "320Mi");
  const auto app = container_resources(pod, pod.spec.containers[0], {.memory = 1 << 30});
  EXPECT_EQ(app.cpu_quota, 200'000);
  EXPECT_EQ(app.cpu_shares, 2048) << "the limit counts as a request";
  EXPECT_EQ(app.memory_limit_bytes, 512 << 20);
  EXPECT_EQ(app.oom_score_adj, 875) << "half of what no container asks for";
  EXPECT_EQ(oom_score_adj(pod, pod.spec.containers[1], 1 << 30), 813);
  EXPECT_EQ(resources_for(pod, pod.spec.containers[0], CpuQuotas()).memory_limit, 512 << 20);
  EXPECT_EQ(pod_limits_of(pod, {}).memory_limit, 512 << 20);
}

TEST(Resources, TheSandboxIsToldWhatItsContainersMayHaveAndWhatItCosts) {
  auto pod = frontend();
  EXPECT_EQ(overhead_resources(pod, {}).cpu_shares, 0);
  pod.spec.overhead = amounts("250m", "160Mi");
  const auto all = sandbox_resources(pod, {});
  EXPECT_EQ(all.cpu_shares, 512);
  EXPECT_EQ(all.cpu_quota, 100'000);
  EXPECT_EQ(all.memory_limit_bytes, 256 << 20);
  const auto overhead = overhead_resources(pod, {});
  EXPECT_EQ(overhead.cpu_shares, 256);
  EXPECT_EQ(overhead.cpu_quota, 25'000);
  EXPECT_EQ(overhead.memory_limit_bytes, 160 << 20);
}

}  // namespace
}  // namespace keelson::agent
