// SPDX-License-Identifier: Apache-2.0
// Pods of one container, bound to a node that a test joins to a real API server.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/cluster_images.h"
#include "tests/support/member_fixture.h"

namespace keelson::testing {

/// Each test joins by itself, with the flags that it is about; its pods go with it.
class MemberPodsTest : public MemberTest {
 protected:
  /// A command that runs until it is told to end.
  static constexpr const char* kRuns = "trap 'exit 0' TERM; while true; do sleep 0.1; done";

  static void SetUpTestSuite() { start_cluster(ControlPlane::Parts::api); }

  void SetUp() override {
    MemberTest::SetUp();
    if (!IsSkipped()) {
      make_images(home() + "/images");
    }
  }
  void TearDown() override {
    if (!IsSkipped()) {
      kubectl({"delete", "pods", "--all", "--grace-period=1", "--timeout=60s"});
    }
    MemberTest::TearDown();
  }

  /// `container` and `spec` are more lines of each.
  static void create_pod(const std::string& name, const std::string& command, const std::string& container = "",
                         const std::string& spec = "") {
    const auto yaml = fmt::format(R"(apiVersion: v1
kind: Pod
metadata: {{name: {}}}
spec:
  nodeName: {}
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 30
{}  containers:
  - name: main
    image: keelson.example/busybox:1
    command: [sh, -c, "{}"]
{})",
                                  name, kNode, spec, command, container);
    const auto created = kubectl({"create", "-f", "-"}, yaml);
    ASSERT_EQ(created.code, 0) << created.error << yaml;
  }
  /// A part of its status, by JSON path.
  static std::string field(const std::string& pod, const std::string& path) {
    return kubectl({"get", "pod", pod, "-o", "jsonpath={.status." + path + "}"}).out;
  }
  static std::string ready(const std::string& pod) { return field(pod, "conditions[?(@.type==\"Ready\")].status"); }
  void expect_soon(const std::string& pod, const std::string& path, const std::string& wanted,
                   std::chrono::seconds limit = std::chrono::seconds(60)) {
    wait_until(fmt::format("{}: {} is {}", pod, path, wanted), [&] { return field(pod, path) == wanted; }, limit);
    if (HasFatalFailure()) {
      FAIL() << kubectl({"get", "pods,events", "-o", "wide"}).out << log();
    }
  }
  void expect_ready(const std::string& pod) { expect_soon(pod, "conditions[?(@.type==\"Ready\")].status", "True"); }
  static ::testing::AssertionResult has_event(const std::string& object, const std::string& part) {
    return control_plane_->has_event(object, part);
  }
};

}  // namespace keelson::testing
