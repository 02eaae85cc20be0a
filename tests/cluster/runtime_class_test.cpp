// SPDX-License-Identifier: Apache-2.0
// Pods of a RuntimeClass: the handler that the API's object names makes them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/member_pods.h"

namespace keelson::testing {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* kRunc = "/usr/sbin/runc";

class RuntimeClassTest : public MemberPodsTest {
 protected:
  void SetUp() override {
    if (::access(kRunc, X_OK) != 0) {
      GTEST_SKIP() << "SKIP: needs " << kRunc;
    }
    MemberPodsTest::SetUp();
    if (!IsSkipped()) {
      std::ofstream(handler()) << fmt::format("#!/bin/sh\necho \"$@\" >> {}.calls\nexec {} \"$@\"\n", handler(), kRunc);
      fs::permissions(handler(), fs::perms::owner_all);
      join({"--client-ca-file", control_plane_->authority_file(), "--runtime-handler", "other=" + handler()});
      wait_node_ready();
    }
  }
  void TearDown() override {
    if (!IsSkipped()) {
      kubectl({"delete", "runtimeclasses", "--all"});
    }
    MemberPodsTest::TearDown();
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
    MemberPodsTest::create_pod(name, kRuns, "", fmt::format("  runtimeClassName: {}\n", runtime_class));
  }
};

TEST_F(RuntimeClassTest, TheClassNamesTheHandler) {
  create_class("sandboxed", "other");
  create_pod("inside", "sandboxed");
  expect_ready("inside");
  EXPECT_EQ(kubectl({"get", "pod", "inside", "-o", "jsonpath={.spec.overhead.memory}"}).out, "10Mi") << "by admission";
  EXPECT_THAT(read_text(handler() + ".calls"), HasSubstr("create --bundle"));
}

TEST_F(RuntimeClassTest, AHandlerThatTheRuntimeHasNotIsNamed) {
  create_class("sandboxed", "unheard-of");
  create_pod("outside", "sandboxed");
  ASSERT_TRUE(has_event("outside", "FailedCreatePodSandBox"));
  EXPECT_TRUE(has_event("outside", "unheard-of"));
  kubectl({"delete", "runtimeclass", "sandboxed"});
  create_class("sandboxed", "other");
  expect_ready("outside");
}

// Its admission has let it in; then somebody has deleted the class.
TEST_F(RuntimeClassTest, AClassThatHasGoneIsNamed) {
  create_class("sandboxed", "unheard-of");
  create_pod("late", "sandboxed");
  ASSERT_TRUE(has_event("late", "unheard-of"));
  kubectl({"delete", "runtimeclass", "sandboxed"});
  EXPECT_TRUE(has_event("late", "runtimeclass.node.k8s.io \"sandboxed\" not found"));
  EXPECT_EQ(field("late", "phase"), "Pending") << "the class may come back";
}

}  // namespace
}  // namespace keelson::testing
