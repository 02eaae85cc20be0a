// SPDX-License-Identifier: Apache-2.0
// A node that is short of something, and pods that write too much, with a real API server.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/support/member_pods.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;
namespace fs = std::filesystem;

constexpr int64_t kMiB = 1 << 20;

class EvictionTest : public MemberPodsTest {
 protected:
  std::string metrics() { return kubectl({"get", "--raw", fmt::format("/api/v1/nodes/{}/proxy/metrics", kNode)}).out; }
};

TEST_F(EvictionTest, APodThatFillsItsEmptyDirIsEvictedAndItsFilesGo) {
  join({"--client-ca-file", control_plane_->authority_file()});
  wait_node_ready();
  const std::string volumes = "  volumes: [{name: scratch, emptyDir: {sizeLimit: 1Mi}}]\n";
  const std::string mounts = "    volumeMounts: [{name: scratch, mountPath: /scratch}]\n";
  create_pod("writer",
             "trap 'exit 0' TERM; dd if=/dev/zero of=/scratch/f bs=1M count=3; while true; do sleep 0.1; done", mounts,
             volumes);
  create_pod("modest", "dd if=/dev/zero of=/scratch/f bs=1k count=100; sleep 1000", mounts, volumes);
  expect_soon("writer", "phase", "Failed");
  EXPECT_EQ(field("writer", "reason"), "Evicted");
  EXPECT_EQ(field("writer", "message"), "Usage of EmptyDir volume \"scratch\" exceeds the limit \"1Mi\". ");
  EXPECT_TRUE(has_event("writer", "Warning Evicted Usage of EmptyDir volume \"scratch\" exceeds"));
  expect_soon("modest", "phase", "Running");
  EXPECT_THAT(metrics(), HasSubstr("kubelet_evictions{eviction_signal=\"emptydirfs.limit\"} 1\n"));
  EXPECT_THAT(kubectl({"logs", "writer"}).out + kubectl({"logs", "writer"}).error, HasSubstr("3+0 records out"))
      << "its logs stay";
  const auto uid = kubectl({"get", "pod", "writer", "-o", "jsonpath={.metadata.uid}"}).out;
  wait_until("its volume has gone", [&] { return !fs::exists(fmt::format("{}/root/pods/{}/volumes", home(), uid)); });
  EXPECT_EQ(kubectl({"delete", "pod", "writer", "--timeout=60s"}).code, 0);
}

TEST_F(EvictionTest, APodThatEatsMemoryIsEvictedBeforeThoseWithinTheirRequests) {
  // Of what pods may take, so that nothing else on this machine counts.
  const auto meminfo = read_text("/proc/meminfo");
  const int64_t memory = std::stoll(meminfo.substr(meminfo.find("MemTotal:") + 9)) * 1024;
  join({"--client-ca-file", control_plane_->authority_file(), "--system-reserved",
        fmt::format("memory={}", memory - 600 * kMiB), "--eviction-hard", "memory.available<300Mi"});
  wait_node_ready();
  create_pod("modest", "(head -c 20m /dev/zero; sleep 1000) | tail", "    resources: {requests: {memory: 50Mi}}\n");
  create_pod("small", "sleep 1000");
  expect_soon("small", "phase", "Running");
  create_pod("eater",
             "trap 'exit 0' TERM; (head -c 400m /dev/zero; sleep 1000) | tail & while true; do sleep 0.1; done");
  expect_soon("eater", "phase", "Failed");
  EXPECT_EQ(field("eater", "reason"), "Evicted");
  const auto message = field("eater", "message");
  EXPECT_THAT(message, StartsWith("The node was low on resource: memory. Threshold quantity: 300Mi, available: "));
  EXPECT_THAT(message, HasSubstr("Container main was using "));
  EXPECT_THAT(message, HasSubstr(", request is 0, has larger consumption of memory. "));
  const std::string condition = "conditions[?(@.type==\"DisruptionTarget\")]";
  EXPECT_EQ(field("eater", condition + ".status") + " " + field("eater", condition + ".reason"),
            "True TerminationByKubelet");
  EXPECT_EQ(field("eater", condition + ".message"), message);
  EXPECT_TRUE(has_event("eater", "Warning Evicted The node was low on resource: memory."));
  EXPECT_TRUE(has_event(kNode, "Warning EvictionThresholdMet Attempting to reclaim memory"));
  EXPECT_EQ(field("small", "phase"), "Running") << "one was enough";
  EXPECT_THAT(metrics(), HasSubstr("kubelet_evictions{eviction_signal=\"allocatableMemory.available\"} 1\n"));
  wait_until("the node says so",
             [] { return node("{.status.conditions[?(@.type==\"MemoryPressure\")].status}") == "True"; });
  create_pod("late", "sleep 1000");
  expect_soon("late", "reason", "Evicted");
  EXPECT_EQ(field("late", "message"), "Pod was rejected: The node had condition: [MemoryPressure]. ");
  create_pod("asks", "sleep 1000", "    resources: {requests: {memory: 10Mi}}\n");
  expect_soon("asks", "phase", "Running");
}

TEST_F(EvictionTest, ACriticalPodMakesRoomForItself) {
  join({"--client-ca-file", control_plane_->authority_file(), "--max-pods", "3"});
  wait_node_ready();
  const auto request = [](const char* memory) {
    return fmt::format("    resources: {{requests: {{memory: {0}}}, limits: {{memory: {0}}}}}\n", memory);
  };
  create_pod("small", "trap 'exit 0' TERM; while true; do sleep 0.1; done", request("20Mi"));
  create_pod("plain", "trap 'exit 0' TERM; while true; do sleep 0.1; done");
  create_pod("big", "trap 'exit 0' TERM; while true; do sleep 0.1; done", request("40Mi"));
  for (const char* pod : {"small", "plain", "big"}) {
    expect_soon(pod, "phase", "Running");
  }
  create_pod("critical", "sleep 1000", "", "  priorityClassName: system-node-critical\n");
  expect_soon("critical", "phase", "Running");
  expect_soon("plain", "phase", "Failed");
  EXPECT_EQ(field("plain", "reason"), "Preempting");
  EXPECT_EQ(field("plain", "message"), "Preempted in order to admit critical pod");
  EXPECT_EQ(field("plain", "conditions[?(@.type==\"DisruptionTarget\")].message"),
            "Pod was preempted by Kubelet to accommodate a critical pod.");
  EXPECT_TRUE(has_event("plain", "Warning Preempting Preempted in order to admit critical pod"));
  EXPECT_EQ(field("small", "phase") + " " + field("big", "phase"), "Running Running");
  EXPECT_THAT(metrics(), HasSubstr("kubelet_preemptions{preemption_signal=\"pods\"} 1\n"));
  create_pod("late", "sleep 1000");
  expect_soon("late", "reason", "OutOfpods");
}

}  // namespace
}  // namespace keelson::testing
