// SPDX-License-Identifier: Apache-2.0
// Pods of a real kube-apiserver on our node: what kubectl shows of them, through deletions, restarts and an API that is
// away.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>

#include "tests/support/pods_fixture.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST_F(PodsTest, APodComesUpAndGoesWithinItsGrace) {
  create_pod("web", "trap 'exit 0' TERM; while true; do sleep 0.1; done",
             R"(    readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
)");
  expect_ready("web");
  const auto shown = kubectl({"get", "pod", "web", "--no-headers"}).out;
  EXPECT_THAT(shown, ::testing::ContainsRegex("web +1/1 +Running +0"));
  EXPECT_EQ(field("web", ".status.hostIP"), "10.250.0.1");
  EXPECT_THAT(field("web", ".status.podIP"), HasSubstr("10.242."));
  EXPECT_THAT(field("web", ".status.containerStatuses[0].containerID"), HasSubstr("keelson://"));
  EXPECT_EQ(field("web", ".status.qosClass"), "BestEffort");
  for (const char* type : {"PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"}) {
    EXPECT_EQ(condition("web", type), "True") << type;
  }
  EXPECT_EQ(field("web", ".status.observedGeneration"), field("web", ".metadata.generation"));
  EXPECT_EQ(std::string(pod("web").at("metadata").at("uid").as_string()), field("web", ".metadata.uid"))
      << "our own API shows the same pod";

  const Background watch(control_plane_->kubectl_command(
                             {"get", "pod", "web", "-w", "-o",
                              "jsonpath={.status.phase} {.status.containerStatuses[0].state.terminated.exitCode};"}),
                         home() + "/watch.log");
  wait_until("the watch begins", [this] { return read_text(home() + "/watch.log").starts_with("Running"); });
  EXPECT_EQ(kubectl({"delete", "pod", "web", "--grace-period=20", "--timeout=15s"}).code, 0)
      << "well before its grace is over";
  wait_until("its end was said before it went",
             [this] { return read_text(home() + "/watch.log").find("Succeeded 0;") != std::string::npos; });
  wait_gone("web");
  for (const char* reason : {"Pulled", "Created", "Started", "Killing"}) {
    EXPECT_TRUE(control_plane_->has_event("web", reason));
  }
}

TEST_F(PodsTest, AShorterGraceCutsADeletionShortAndAForcedOneLeavesNothing) {
  create_pod("stubborn", "trap '' TERM; while true; do sleep 1; done");
  create_pod("forced", "trap 'exit 0' TERM; while true; do sleep 0.1; done");
  expect_ready("stubborn");
  expect_ready("forced");
  EXPECT_EQ(kubectl({"delete", "pod", "stubborn", "--grace-period=600", "--wait=false"}).code, 0);
  expect_soon("stubborn", ".metadata.deletionGracePeriodSeconds", "600");
  EXPECT_EQ(kubectl({"delete", "pod", "stubborn", "--grace-period=1", "--timeout=60s"}).code, 0);
  EXPECT_EQ(kubectl({"delete", "pod", "forced", "--grace-period=0", "--force"}).code, 0);
  wait_gone("forced");
}

TEST_F(PodsTest, ARestartOfTheAgentChangesNoStatus) {
  create_pod("plain", "while true; do sleep 1; done");
  create_pod("probed", "touch /tmp/up; while true; do sleep 1; done",
             R"(    startupProbe: {exec: {command: [cat, /tmp/up]}, periodSeconds: 1, failureThreshold: 60}
    readinessProbe: {exec: {command: [cat, /tmp/up]}, periodSeconds: 1}
)");
  create_pod("job", "exit 0", "", "  restartPolicy: Never\n");
  expect_ready("plain");
  expect_ready("probed");
  expect_soon("job", ".status.phase", "Succeeded");
  const auto versions = versions_at_rest();
  const auto pid = process_of("plain", "main");
  for (int i = 0; i < 3; ++i) {
    restart();
    // Once a pod that is new has its status, the old ones had theirs looked at.
    const auto name = fmt::format("after-{}", i);
    create_pod(name, "sleep 1000");
    expect_ready(name);
    wait_ready("plain");
    wait_ready("probed");
    EXPECT_EQ(kubectl({"delete", "pod", name, "--timeout=60s"}).code, 0);
  }
  EXPECT_EQ(kubectl({"get", "pods", "-o", "jsonpath={.items[*].metadata.resourceVersion}"}).out, versions)
      << kubectl({"get", "pods", "-o", "yaml"}).out;
  EXPECT_EQ(process_of("plain", "main"), pid);
  EXPECT_EQ(restarts("plain") + restarts("probed") + restarts("job"), 0);
}

TEST_F(PodsTest, WhileTheApiIsAwayAllGoesOn) {
  create_pod("steady", "while true; do sleep 1; done");
  create_pod("ends", "while ! [ -e /tmp/go ]; do sleep 0.1; done; exit 3", "", "  restartPolicy: Never\n");
  expect_ready("steady");
  expect_ready("ends");
  versions_at_rest();
  const auto version = field("steady", ".metadata.resourceVersion");
  const auto pid = process_of("steady", "main");
  control_plane_->kill_api_server();
  in_pod("ends", {"touch", "/tmp/go"});
  wait_until("it has ended", [this] {
    const auto ends = pod("ends");
    return ends.is_object() && ends.at("status").at("phase") == "Failed";
  });
  control_plane_->start_api_server();
  expect_soon("ends", ".status.phase", "Failed", 10s);
  EXPECT_EQ(field("ends", ".status.containerStatuses[0].state.terminated.exitCode"), "3");
  EXPECT_EQ(field("steady", ".metadata.resourceVersion"), version);
  EXPECT_EQ(process_of("steady", "main"), pid);
  create_pod("later", "sleep 1000");
  expect_ready("later");
}

TEST_F(PodsTest, AnAgentThatFindsTheApiAwayLeavesPodsAlone) {
  create_pod("steady", "while true; do sleep 1; done");
  expect_ready("steady");
  versions_at_rest();
  const auto version = field("steady", ".metadata.resourceVersion");
  const auto pid = std::stoi(process_of("steady", "main"));
  control_plane_->kill_api_server();
  restart();
  apply("static.yaml", R"(apiVersion: v1
kind: Pod
metadata: {name: static}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: "keelson.example/busybox:1", command: [sleep, "1000"]}]
)");
  wait_ready(fmt::format("static-{}", kNode));
  EXPECT_EQ(::kill(pid, 0), 0) << "not asked about is not unwanted";
  control_plane_->start_api_server();
  wait_ready("steady", 90s);
  EXPECT_EQ(process_of("steady", "main"), std::to_string(pid));
  EXPECT_EQ(field("steady", ".metadata.resourceVersion"), version);
  expect_ready(fmt::format("static-{}", kNode));
}

TEST_F(PodsTest, AMirrorShowsAStaticPod) {
  const auto name = fmt::format("static-{}", kNode);
  const auto manifest = [](int seconds) {
    return fmt::format(R"(apiVersion: v1
kind: Pod
metadata: {{name: static}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{{name: main, image: "keelson.example/busybox:1", command: [sleep, "{}"]}}]
)",
                       seconds);
  };
  apply("static.yaml", manifest(1000));
  expect_ready(name);
  EXPECT_EQ(field(name, ".metadata.annotations['kubernetes\\.io/config\\.source']"), "file");
  EXPECT_EQ(field(name, ".metadata.ownerReferences[0].kind"), "Node");
  const auto uid = field(name, ".metadata.uid");
  const auto pid = process_of(name, "main");
  // kubectl waits until this one has gone, and sees that it has: the next is not there at once.
  const auto deleted = kubectl({"delete", "pod", name, "--timeout=25s"});
  EXPECT_EQ(deleted.code, 0) << deleted.error;
  wait_until("another mirror", [&] {
    const auto now = field(name, ".metadata.uid");
    return !now.empty() && now != uid;
  });
  expect_ready(name);
  EXPECT_EQ(process_of(name, "main"), pid) << "the mirror is not the pod";
  apply("static.yaml", manifest(2000));
  wait_until("the edit runs", [&] { return !process_of(name, "main").empty() && process_of(name, "main") != pid; });
  wait_until("its mirror is another", [&] {
    const auto hash = field(name, ".metadata.annotations['kubernetes\\.io/config\\.mirror']");
    return !hash.empty() && pod(name).is_object() &&
           hash == std::string(pod(name).at("metadata").at("uid").as_string());
  });
  expect_ready(name);
  remove("static.yaml");
  wait_until("the mirror goes", [&] { return kubectl({"get", "pod", name}).code != 0; });
}

TEST_F(PodsTest, WhatDoesNotFitFails) {
  create_pod("big", "sleep 1000", "    resources: {requests: {cpu: \"1000\"}}\n");
  expect_soon("big", ".status.phase", "Failed");
  EXPECT_EQ(field("big", ".status.reason"), "OutOfcpu");
  EXPECT_THAT(field("big", ".status.message"),
              HasSubstr("Pod was rejected: Node didn't have enough resource: cpu, requested: 1000000, used: "));
  create_pod("elsewhere", "sleep 1000", "", "  nodeSelector: {no: node}\n");
  expect_soon("elsewhere", ".status.reason", "NodeAffinity");
  EXPECT_TRUE(control_plane_->has_event("big", "OutOfcpu"));
  const auto version = field("big", ".metadata.resourceVersion");
  restart();
  create_pod("fits", "sleep 1000");
  expect_ready("fits");
  EXPECT_EQ(field("big", ".metadata.resourceVersion"), version) << "refused once and for all";
}

TEST_F(PodsTest, TheStatusTellsWhatAContainerWasGiven) {
  create_pod("given", "sleep 1000", R"(    securityContext: {runAsUser: 1000, runAsGroup: 2000}
    resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {cpu: 200m, memory: 64Mi}}
    volumeMounts:
    - {name: data, mountPath: /data}
    - {name: data, mountPath: /below, readOnly: true, recursiveReadOnly: Enabled}
)",
             R"(  securityContext: {supplementalGroups: [3000]}
  volumes: [{name: data, emptyDir: {}}]
)");
  expect_ready("given");
  const std::string status = ".status.containerStatuses[0]";
  EXPECT_EQ(field("given", status + ".resources"),
            R"({"limits":{"cpu":"200m","memory":"64Mi"},"requests":{"cpu":"100m","memory":"32Mi"}})");
  EXPECT_EQ(field("given", status + ".allocatedResources"), R"({"cpu":"100m","memory":"32Mi"})");
  EXPECT_EQ(field("given", status + ".user.linux"), R"({"gid":2000,"supplementalGroups":[2000,3000],"uid":1000})");
  EXPECT_EQ(field("given", status + ".volumeMounts[?(@.mountPath==\"/below\")].recursiveReadOnly"), "Enabled");
  EXPECT_EQ(field("given", status + ".volumeMounts[?(@.mountPath==\"/data\")].recursiveReadOnly"), "");
}

TEST_F(PodsTest, ConditionsOfOthersStayAndCount) {
  create_pod("gated", "sleep 1000", "", "  readinessGates: [{conditionType: example.com/gate}]\n");
  expect_soon("gated", ".status.conditions[?(@.type==\"ContainersReady\")].status", "True");
  EXPECT_EQ(condition("gated", "Ready"), "False");
  const auto set_gate = [](const std::string& status) {
    return kubectl({"patch", "pod", "gated", "--subresource=status", "-p",
                    R"({"status":{"conditions":[{"type":"example.com/gate","status":")" + status + R"("}]}})"})
        .code;
  };
  ASSERT_EQ(set_gate("True"), 0);
  expect_ready("gated");
  EXPECT_EQ(condition("gated", "example.com/gate"), "True");
  ASSERT_EQ(set_gate("False"), 0);
  expect_soon("gated", ".status.conditions[?(@.type==\"Ready\")].status", "False");
  EXPECT_EQ(condition("gated", "example.com/gate"), "False");
}

TEST_F(PodsTest, KubectlDebugJoinsARunningPod) {
  create_pod("seen", "exec sleep 12345");
  expect_ready("seen");
  const auto version = field("seen", ".status.containerStatuses[0].restartCount");
  const auto debug = kubectl({"debug", "seen", "--image=keelson.example/busybox:1", "--target=main",
                              "--container=probe", "--", "sh", "-c", "grep -q 1234[5] /proc/*/cmdline && sleep 1000"});
  ASSERT_EQ(debug.code, 0) << debug.error;
  wait_until("it runs", [] { return !field("seen", ".status.ephemeralContainerStatuses[0].state.running").empty(); });
  EXPECT_EQ(condition("seen", "Ready"), "True");
  restart();
  wait_ready("seen");
  EXPECT_EQ(field("seen", ".status.containerStatuses[0].restartCount"), version);
  EXPECT_NE(field("seen", ".status.ephemeralContainerStatuses[0].state.running"), "") << "it sees the target's process";
  EXPECT_EQ(field("seen", ".status.ephemeralContainerStatuses[0].restartCount"), "0");
}

}  // namespace
}  // namespace keelson::testing
