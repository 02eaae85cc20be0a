// SPDX-License-Identifier: Apache-2.0
// Pods whose CPU and memory are changed while they run, by a real API server's subresource `resize`.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "common/cgroup/tree.h"
#include "common/fd.h"
#include "tests/support/member_pods.h"

namespace keelson::testing {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kMiB = 1 << 20;
const std::string kContainer = "containerStatuses[0]";

class ResizeTest : public MemberPodsTest {
 protected:
  void SetUp() override {
    MemberPodsTest::SetUp();
    if (!IsSkipped()) {
      join({"--client-ca-file", control_plane_->authority_file(), "--max-pods", "10", "--system-reserved",
            "memory=100Mi"});
      wait_node_ready();
    }
  }
  static void create_pod(const std::string& name, const std::string& resources, const std::string& policy = "",
                         const std::string& command = kRuns) {
    MemberPodsTest::create_pod(name, command, fmt::format("    resources: {}\n{}", resources, policy));
  }
  static void resize(const std::string& name, const std::string& resources) {
    const auto done =
        kubectl({"patch", "pod", name, "--subresource", "resize", "-p",
                 fmt::format(R"({{"spec":{{"containers":[{{"name":"main","resources":{}}}]}}}})", resources)});
    ASSERT_EQ(done.code, 0) << done.error;
  }
  static std::string condition(const std::string& pod, const std::string& type) {
    return field(pod, "conditions[?(@.type==\"" + type + "\")]['reason','message']");
  }
  /// The memory limits of the container and of its pod, as the kernel has them, in MiB.
  std::pair<uint64_t, uint64_t> memory_limits(const std::string& pod) {
    std::string path;
    const auto text = read_file("/proc/" + process_of(pod, "main") + "/cgroup").value_or("");
    for (size_t at = 0; at < text.size();) {
      const auto line = text.substr(at, text.find('\n', at) - at);
      at += line.size() + 1;
      if (line.find(":memory:") != line.npos || (path.empty() && line.starts_with("0::"))) {
        path = line.substr(line.find(":/") + 1);
      }
    }
    auto tree = cgroup::Tree::open();
    EXPECT_TRUE(tree);
    return {tree->usage(path).memory_limit / kMiB, tree->usage(path.substr(0, path.rfind('/'))).memory_limit / kMiB};
  }
  /// That both are so, or become so: the pod's is lowered after the container's.
  void expect_memory_limits(const std::string& pod, uint64_t wanted) {
    wait_until(fmt::format("the limits of {} are {} MiB", pod, wanted),
               [&] { return memory_limits(pod) == std::pair(wanted, wanted); });
  }
  void expect_no_condition(const std::string& pod, const std::string& type) {
    wait_until(fmt::format("{} has no {}", pod, type), [&] { return condition(pod, type).empty(); });
  }
};

TEST_F(ResizeTest, MoreAndLessWhileItRuns) {
  create_pod("web", "{requests: {cpu: 100m, memory: 32Mi}, limits: {cpu: 200m, memory: 64Mi}}");
  expect_ready("web");
  expect_memory_limits("web", 64);
  const auto id = field("web", kContainer + ".containerID");
  resize("web", R"({"requests":{"cpu":"150m","memory":"48Mi"},"limits":{"cpu":"400m","memory":"96Mi"}})");
  expect_soon("web", kContainer + ".resources",
              R"({"limits":{"cpu":"400m","memory":"96Mi"},"requests":{"cpu":"150m","memory":"48Mi"}})");
  EXPECT_EQ(field("web", kContainer + ".allocatedResources"), R"({"cpu":"150m","memory":"48Mi"})");
  expect_memory_limits("web", 96);
  EXPECT_TRUE(has_event("web", R"(Normal ResizeCompleted Pod resize completed: {"containers":[{"name":"main",)"
                               R"("resources":{"limits":{"cpu":"400m","memory":"96Mi"},)"
                               R"("requests":{"cpu":"150m","memory":"48Mi"}}}]})"));
  kill_node();
  join({"--client-ca-file", control_plane_->authority_file(), "--max-pods", "10"});
  resize("web", R"({"limits":{"cpu":"200m","memory":"48Mi"}})");
  expect_soon("web", kContainer + ".resources.limits", R"({"cpu":"200m","memory":"48Mi"})");
  expect_memory_limits("web", 48);
  expect_no_condition("web", "PodResizeInProgress");
  EXPECT_EQ(field("web", kContainer + ".containerID"), id) << "the same container";
  EXPECT_EQ(field("web", kContainer + ".restartCount"), "0");
}

TEST_F(ResizeTest, ByRestartWhereThePolicySaysSo) {
  create_pod("web", "{requests: {memory: 32Mi}, limits: {memory: 64Mi}}",
             "    resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]\n");
  expect_ready("web");
  resize("web", R"({"limits":{"memory":"96Mi"}})");
  expect_soon("web", kContainer + ".restartCount", "1");
  expect_ready("web");
  expect_memory_limits("web", 96);
}

TEST_F(ResizeTest, WhatTheNodeHasNotWaitsOrCannotBe) {
  const auto whole = std::stoll(kubectl({"get", "node", kNode, "-o", "jsonpath={.status.allocatable.cpu}"}).out);
  create_pod("small", "{requests: {cpu: 100m}}");
  create_pod("large", fmt::format("{{requests: {{cpu: {}m}}}}", whole * 1000 - 200));
  expect_ready("small");
  expect_ready("large");
  resize("small", R"({"requests":{"cpu":"500m"}})");
  wait_until("it waits", [&] { return condition("small", "PodResizePending").starts_with("Deferred"); });
  EXPECT_THAT(condition("small", "PodResizePending"), HasSubstr("Node didn't have enough resource: cpu"));
  EXPECT_EQ(field("small", kContainer + ".allocatedResources.cpu"), "100m");
  resize("small", R"({"requests":{"cpu":"1000"}})");
  wait_until("it cannot be", [&] { return condition("small", "PodResizePending").starts_with("Infeasible"); });
  resize("small", R"({"requests":{"cpu":"500m"}})");
  wait_until("it waits again", [&] { return condition("small", "PodResizePending").starts_with("Deferred"); });
  kubectl({"delete", "pod", "large", "--grace-period=1", "--timeout=60s"});
  expect_soon("small", kContainer + ".allocatedResources.cpu", "500m");
  expect_no_condition("small", "PodResizePending");
}

TEST_F(ResizeTest, NoLessMemoryThanIsInUse) {
  create_pod("eater", "{requests: {memory: 64Mi}, limits: {memory: 128Mi}}", "",
             "trap 'exit 0' TERM; x=$(head -c 50000000 /dev/zero | tr '\\\\0' x); touch /tmp/full; while true; do "
             "sleep 0.1; done");
  expect_ready("eater");
  wait_until("it has eaten", [&] { return keelson({"exec", "eater", "--", "test", "-e", "/tmp/full"}).code == 0; });
  resize("eater", R"({"requests":{"memory":"16Mi"},"limits":{"memory":"32Mi"}})");
  wait_until("it is told", [&] { return condition("eater", "PodResizeInProgress").starts_with("Error"); });
  EXPECT_THAT(condition("eater", "PodResizeInProgress"), HasSubstr("below current usage"));
  expect_memory_limits("eater", 128);
  EXPECT_EQ(field("eater", kContainer + ".restartCount"), "0");
  resize("eater", R"({"limits":{"memory":"160Mi"}})");
  expect_soon("eater", kContainer + ".resources.limits.memory", "160Mi");
  expect_no_condition("eater", "PodResizeInProgress");
}

}  // namespace
}  // namespace keelson::testing
