// SPDX-License-Identifier: Apache-2.0
// Pods of a RuntimeClass: the handler that the API's object names makes them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/cluster_images.h"
#include "tests/support/member_fixture.h"

namespace keelson::testing {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* kRunc = "/usr/sbin/runc";

class RuntimeClassTest : public MemberTest {
 protected:
  static void SetUpTestSuite() { start_cluster(ControlPlane::Parts::api); }

  void SetUp() override {
    if (::access(kRunc, X_OK) != 0) {
      GTEST_SKIP() << "SKIP: needs " << kRunc;
    }
    MemberTest::SetUp();
    if (!IsSkipped()) {
      make_images(home() + "/images");
      std::ofstream(handler()) << fmt::format("#!/bin/sh\necho \"$@\" >> {}.calls\nexec {} \"$@\"\n", handler(), kRunc);
      fs::permissions(handler(), fs::perms::owner_all);
      join({"--client-ca-file", control_plane_->authority_file(), "--runtime-handler", "other=" + handler()});
      wait_node_ready();
    }
  }
  void TearDown() override {
    if (!IsSkipped()) {
      kubectl({"delete", "pods", "--all", "--grace-period=1", "--timeout=25s"});
      kubectl({"delete", "runtimeclasses", "--all"});
    }
    MemberTest::TearDown();
  }

  std::string handler() const { return home() + "/handler"; }
  static void create_class(const std::string& name, const std::string& handler) {
    const auto created = kubectl({"create", "-f", "-"}, fmt::format(R"(apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {{name: {}}}
handler: {}
overhead: {{podFixed: {{memory: 10Mi}}}}
)",
                                                                    name, handler));
    ASSERT_EQ(created.code, 0) << created.error;
  }
  static void create_pod(const std::string& name, const std::string& runtime_class) {
    const auto created = kubectl({"create", "-f", "-"}, fmt::format(R"(apiVersion: v1
kind: Pod
metadata: {{name: {}}}
spec:
  nodeName: {}
  runtimeClassName: {}
  automountServiceAccountToken: false
  containers:
  - name: main
    image: keelson.example/busybox:1
    command: [sh, -c, "trap 'exit 0' TERM; while true; do sleep 0.1; done"]
)",
                                                                    name, kNode, runtime_class));
    ASSERT_EQ(created.code, 0) << created.error;
  }
  static std::string field(const std::string& pod, const std::string& path) {
    return kubectl({"get", "pod", pod, "-o", "jsonpath={" + path + "}"}).out;
  }
  static std::string ready(const std::string& pod) {
    return field(pod, ".status.conditions[?(@.type==\"Ready\")].status");
  }
  static std::string events_of(const std::string& name) {
    return kubectl({"get", "events", "--field-selector", "involvedObject.name=" + name, "-o",
                    "jsonpath={range .items[*]}{.reason}: {.message}\n{end}"})
        .out;
  }
};

TEST_F(RuntimeClassTest, TheClassNamesTheHandler) {
  create_class("sandboxed", "other");
  create_pod("inside", "sandboxed");
  wait_until("the pod is ready", [] { return ready("inside") == "True"; });
  EXPECT_EQ(field("inside", ".spec.overhead.memory"), "10Mi") << "by admission";
  EXPECT_THAT(read_text(handler() + ".calls"), HasSubstr("create --bundle"));
}

TEST_F(RuntimeClassTest, AHandlerThatTheRuntimeHasNotIsNamed) {
  create_class("sandboxed", "unheard-of");
  create_pod("outside", "sandboxed");
  wait_until("it is told", [] { return events_of("outside").find("FailedCreatePodSandBox") != std::string::npos; });
  EXPECT_THAT(events_of("outside"), HasSubstr("unheard-of"));
  kubectl({"delete", "runtimeclass", "sandboxed"});
  create_class("sandboxed", "other");
  wait_until("it goes on once the class is another", [] { return ready("outside") == "True"; });
}

// Its admission has let it in; then somebody has deleted the class.
TEST_F(RuntimeClassTest, AClassThatHasGoneIsNamed) {
  create_class("sandboxed", "unheard-of");
  create_pod("late", "sandboxed");
  wait_until("it is told", [] { return events_of("late").find("unheard-of") != std::string::npos; });
  kubectl({"delete", "runtimeclass", "sandboxed"});
  wait_until("it is told", [] {
    return events_of("late").find("runtimeclass.node.k8s.io \"sandboxed\" not found") != std::string::npos;
  });
}

}  // namespace
}  // namespace keelson::testing
