// SPDX-License-Identifier: Apache-2.0
// CDI devices in real containers, ours and those of an OCI runtime.
#include <gmock/gmock.h>

#include "cri/handler_fixture.h"

namespace keelson::cri {
namespace {

using ::testing::HasSubstr;

/// A vendor's device: a variable, /dev/gpu (the node's /dev/zero), and a folder.
void describe(const std::string& dir, const std::string& more = "") {
  fs::create_directories(dir + "/cdi");
  fs::create_directories(dir + "/lib");
  std::ofstream(dir + "/lib/version") << "7\n";
  std::ofstream(dir + "/cdi/gpu.yaml") << fmt::format(R"(cdiVersion: "0.5.0"
kind: vendor.com/gpu
devices:
- name: "0"
  containerEdits:
    env: [GPU=zero]
    deviceNodes: [{{path: /dev/gpu, hostPath: /dev/zero}}]
    mounts: [{{hostPath: {}/lib, containerPath: /lib/vendor, options: [ro, rbind]}}]
{})",
                                                      dir, more);
}

constexpr const char* kLook =
    "echo $GPU; cat /lib/vendor/version; dd if=/dev/gpu bs=3 count=1 2>/dev/null | busybox wc -c; "
    "echo 8 > /lib/vendor/version || echo read-only";
constexpr const char* kSeen = "zero\n7\n3\nread-only\n";

class CdiRuntimeTest : public RuntimeFixture {
 protected:
  void SetUp() override {
    RuntimeFixture::SetUp();
    if (!IsSkipped()) {
      options_.cdi_dirs = {dir_ + "/cdi"};
      restart();
    }
  }
};

TEST_F(CdiRuntimeTest, AContainerHasWhatComesWithItsDevice) {
  describe(dir_);
  const auto sandbox = run_sandbox(sandbox_config("pod"));
  auto by_field = container_config("field", {"sleep", "1000"});
  by_field.add_cdi_devices()->set_name("vendor.com/gpu=0");
  auto by_annotation = container_config("annotation", {"sleep", "1000"});
  (*by_annotation.mutable_annotations())["cdi.k8s.io/gpus"] = "vendor.com/gpu=0";
  for (const auto& config : {by_field, by_annotation}) {
    const auto id = run_container(sandbox, config);
    v1::ExecSyncResponse said;
    ASSERT_TRUE(exec(id, {"sh", "-c", kLook}, 60, &said).ok());
    EXPECT_EQ(said.stdout(), kSeen) << said.stderr();
  }
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(CdiRuntimeTest, WhatCannotBeGivenIsNamedAndLeavesNothing) {
  describe(dir_, "    hooks: [{hookName: createContainer, path: /usr/bin/vendor-hook}]\n");
  const auto sandbox = run_sandbox(sandbox_config("pod"));
  auto config = container_config("main", {"sleep", "1000"});
  config.add_cdi_devices()->set_name("vendor.com/gpu=9");
  std::string id;
  auto made = create(sandbox, config, &id);
  EXPECT_THAT(made.error_message(),
              HasSubstr("CDI device injection failed: unresolvable CDI devices vendor.com/gpu=9"));
  config.mutable_cdi_devices(0)->set_name("vendor.com/gpu=0");
  made = create(sandbox, config, &id);
  EXPECT_THAT(made.error_message(), HasSubstr("/usr/bin/vendor-hook is to run as a hook (createContainer)"));
  EXPECT_EQ(entries(options_.state_dir + "/containers"), 0);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

class CdiHandlerTest : public HandlerFixture {};

TEST_F(CdiHandlerTest, AnOciRuntimeRunsTheHooksToo) {
  const auto hook = dir_ + "/hook";
  std::ofstream(hook) << "#!/bin/sh\necho \"$@\" > " << dir_ << "/hooked\n";
  fs::permissions(hook, fs::perms::owner_all);
  describe(dir_, fmt::format("    hooks: [{{hookName: createRuntime, path: {}, args: [hook, ldcache]}}]\n", hook));
  options_.cdi_dirs = {dir_ + "/cdi"};
  restart();
  const auto sandbox = run_runc_sandbox("pod");
  auto config = container_config("main", {"sleep", "1000"});
  config.add_cdi_devices()->set_name("vendor.com/gpu=0");
  const auto id = run_container(sandbox, config);
  v1::ExecSyncResponse said;
  ASSERT_TRUE(exec(id, {"sh", "-c", kLook}, 60, &said).ok());
  EXPECT_EQ(said.stdout(), kSeen) << said.stderr();
  EXPECT_EQ(read(dir_ + "/hooked"), "ldcache\n");
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

}  // namespace
}  // namespace keelson::cri
