// SPDX-License-Identifier: Apache-2.0
// RuntimeClasses of a folder of manifests: which handler makes a pod where there is no API server to ask.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/cluster_images.h"
#include "tests/support/node_fixture.h"

namespace keelson::testing {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* kRunc = "/usr/sbin/runc";

/// A node whose runtime has the handler "other": runc, that writes down what it is asked.
class RuntimeClassTest : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    if (::access(kRunc, X_OK) != 0) {
      GTEST_SKIP() << "SKIP: needs " << kRunc;
    }
    make_images(home() + "/images");
    std::ofstream(handler()) << fmt::format("#!/bin/sh\necho \"$@\" >> {}.calls\nexec {} \"$@\"\n", handler(), kRunc);
    fs::permissions(handler(), fs::perms::owner_all);
    start_node({"--runtime-handler", "other=" + handler()});
  }
  std::string handler() const { return home() + "/handler"; }
  std::string calls() const { return read_text(handler() + ".calls"); }
  static std::string runtime_class(const std::string& name) {
    return fmt::format(R"(apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {{name: {}}}
handler: other
overhead: {{podFixed: {{memory: 16Mi}}}}
)",
                       name);
  }
  static std::string pod_of(const std::string& name, const std::string& runtime_class) {
    return fmt::format(R"(apiVersion: v1
kind: Pod
metadata: {{name: {}}}
spec:
  runtimeClassName: {}
  terminationGracePeriodSeconds: 2
  containers:
  - name: main
    image: keelson.example/busybox:1
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"]
)",
                       name, runtime_class);
  }
};

TEST_F(RuntimeClassTest, AClassOfTheFolderNamesTheHandler) {
  apply("class.yaml", runtime_class("sandboxed"));
  apply("inside.yaml", pod_of("inside", "sandboxed"));
  wait_ready("inside");
  EXPECT_THAT(calls(), HasSubstr("create --bundle"));
  EXPECT_EQ(pod("inside").at_pointer("/spec/overhead/memory").as_string(), "16Mi");
}

TEST_F(RuntimeClassTest, WithoutAClassTheNameIsTheHandlers) {
  apply("inside.yaml", pod_of("inside", "other"));
  wait_ready("inside");
  EXPECT_THAT(calls(), HasSubstr("create --bundle"));
}

// Whatever the order in which they come.
TEST_F(RuntimeClassTest, APodWaitsForItsClass) {
  apply("inside.yaml", pod_of("inside", "sandboxed"));
  wait_until("the missing handler is told", [&] {
    return keelson({"events", "--for", "pod/inside"}).out.find("FailedCreatePodSandBox") != std::string::npos;
  });
  apply("class.yaml", runtime_class("sandboxed"));
  wait_ready("inside", std::chrono::seconds(60));
  EXPECT_THAT(calls(), HasSubstr("create --bundle"));
}

}  // namespace
}  // namespace keelson::testing
