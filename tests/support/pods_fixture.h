// SPDX-License-Identifier: Apache-2.0
// Pods of a real kube-apiserver on our node.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/cluster_images.h"
#include "tests/support/control_plane.h"
#include "tests/support/node_fixture.h"

namespace keelson::testing {

/// Starts a control plane for the suite, and a node for each test.
class PodsTest : public NodeTest {
 protected:
  static constexpr const char* kNode = "pods-node";

  static void SetUpTestSuite() {
    control_plane_ = start_control_plane(kNode, "10.250.0.1");
    if (control_plane_) {
      kubectl({"create", "-f", "-"}, fmt::format("apiVersion: v1\nkind: Node\nmetadata: {{name: {}}}\n", kNode));
    }
  }
  static void TearDownTestSuite() { control_plane_.reset(); }

  void SetUp() override {
    if (kubernetes_program().empty()) {
      GTEST_SKIP() << "SKIP: needs the stock Kubernetes programs: ./dev peers";
    }
    NodeTest::SetUp();
    if (!IsSkipped()) {
      make_images(home() + "/images");
      start();
    }
  }
  void TearDown() override {
    if (control_plane_ != nullptr && !IsSkipped()) {
      for (const auto& file : std::filesystem::directory_iterator(home() + "/manifests")) {
        std::filesystem::remove(file.path());
      }
      const auto gone = kubectl({"delete", "pods", "--all", "--wait", "--timeout=60s"});
      EXPECT_EQ(gone.code, 0) << gone.error << log();
    }
    NodeTest::TearDown();
  }
  void start() { start_node({"--kubeconfig", control_plane_->node_kubeconfig(), "--node-name", kNode}); }
  /// kill -9, and a new one.
  void restart() {
    kill_node();
    start();
  }

  static Output kubectl(const std::vector<std::string>& arguments, const std::string& input = "") {
    return control_plane_->kubectl(arguments, input);
  }
  static std::string field(const std::string& pod, const std::string& path) {
    return kubectl({"get", "pod", pod, "-o", "jsonpath={" + path + "}"}).out;
  }
  static std::string condition(const std::string& pod, const std::string& type) {
    return field(pod, ".status.conditions[?(@.type==\"" + type + "\")].status");
  }
  void expect_soon(const std::string& pod, const std::string& path, const std::string& wanted,
                   std::chrono::seconds limit = std::chrono::seconds(60)) {
    wait_until(fmt::format("{}: {} is {}", pod, path, wanted), [&] { return field(pod, path) == wanted; }, limit);
    if (HasFatalFailure()) {
      FAIL() << kubectl({"get", "pod", pod, "-o", "yaml"}).out << kubectl({"get", "events"}).out;
    }
  }
  void expect_ready(const std::string& pod, std::chrono::seconds limit = std::chrono::seconds(60)) {
    expect_soon(pod, ".status.conditions[?(@.type==\"Ready\")].status", "True", limit);
  }
  /// Of all pods, once no status has changed for ten looks: there may be more to tell than that a pod is Ready.
  std::string versions_at_rest() {
    std::string last;
    int same = 0;
    wait_until(
        "the statuses rest",
        [&] {
          const auto now = kubectl({"get", "pods", "-o", "jsonpath={.items[*].metadata.resourceVersion}"}).out;
          same = now == std::exchange(last, now) ? same + 1 : 0;
          return same == 10;
        },
        std::chrono::seconds(180));
    return last;
  }
  static void create(const std::string& yaml) {
    const auto created = kubectl({"create", "-f", "-"}, yaml);
    ASSERT_EQ(created.code, 0) << created.error << yaml;
  }
  /// With one container; `container` and `spec` are more lines of each.
  static void create_pod(const std::string& name, const std::string& command, const std::string& container = "",
                         const std::string& spec = "") {
    create(fmt::format(R"(apiVersion: v1
kind: Pod
metadata: {{name: {}, labels: {{app: {}}}}}
spec:
  nodeName: {}
  terminationGracePeriodSeconds: 1
{}  containers:
  - name: main
    image: keelson.example/busybox:1
    command: [sh, -c, "{}"]
{})",
                       name, name, kNode, spec, command, container));
  }
  /// What a command in the pod prints.
  std::string in_pod(const std::string& pod, const std::vector<std::string>& command) {
    std::vector<std::string> arguments = {"exec", pod, "--"};
    arguments.insert(arguments.end(), command.begin(), command.end());
    return keelson(arguments).out;
  }

  inline static OwnControlPlane control_plane_;
};

}  // namespace keelson::testing
