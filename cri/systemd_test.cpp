// SPDX-License-Identifier: Apache-2.0
// The runtime with the systemd cgroup driver, beside a real systemd (tests/support/with_systemd.sh).
#include <gmock/gmock.h>

#include "common/cgroup/unit_name.h"
#include "cri/runtime_fixture.h"

namespace keelson::cri {

using testing::EndsWith;
using testing::HasSubstr;

namespace {

std::string output_of(const std::string& command) {
  std::string text;
  auto* pipe = ::popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (const auto n = ::fread(buffer, 1, sizeof buffer, pipe)) {
    text.append(buffer, n);
  }
  return ::pclose(pipe) == 0 ? text : "failed: " + text;
}

std::string property(const std::string& unit, const std::string& name) {
  auto text = output_of("systemctl show --value -p " + name + " " + unit);
  return text.substr(0, text.find('\n'));
}

class SystemdRuntimeTest : public RuntimeFixture {
 protected:
  void SetUp() override {
    const char* layout = ::getenv("KEELSON_CGROUP_LAYOUT");
    if (layout == nullptr) {
      GTEST_SKIP() << "SKIP: needs a systemd of its own (tests/support/with_systemd.sh)";
    }
    limits_are_real_ = std::string_view(layout) != "v2";
    RuntimeFixture::SetUp();
  }
  void TearDown() override {
    RuntimeFixture::TearDown();
    if (!dir_.empty()) {
      wait_until("no unit is left", [] {
        return output_of("systemctl list-units --all --no-legend --type scope,slice 'keelson*' 'kubepods-*'").empty();
      });
    }
  }
  void start() override {
    options_.systemd_cgroups = true;
    options_.default_cgroup_parent = "/keelson.slice";
    RuntimeFixture::start();
  }
  std::string file(const std::string& controller, const std::string& path) {
    return read_file("/sys/fs/cgroup/" + controller + path).value_or("absent");
  }
  v1::ContainerConfig limited(const std::string& name, std::vector<std::string> command) {
    auto config = container_config(name, std::move(command));
    auto* resources = config.mutable_linux()->mutable_resources();
    resources->set_cpu_shares(256);
    if (limits_are_real_) {
      resources->set_cpu_period(100000);
      resources->set_cpu_quota(50000);
      resources->set_memory_limit_in_bytes(64 << 20);
    } else {
      resources->clear_cpu_shares();  // this machine's v2 has no controllers
    }
    return config;
  }

  bool limits_are_real_ = false;
};

}  // namespace

TEST_F(SystemdRuntimeTest, SandboxesAndContainersAreScopes) {
  v1::RuntimeConfigResponse answer;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::RuntimeConfig, v1::RuntimeConfigRequest(), answer).ok());
  EXPECT_EQ(answer.linux().cgroup_driver(), v1::SYSTEMD);
  auto config = sandbox_config("life");
  config.mutable_linux()->set_cgroup_parent("kubepods-burstable-pod1_2.slice");
  const auto sandbox = run_sandbox(config);
  const auto id = run_container(sandbox, limited("main", {"sleep", "1000"}));
  const auto shims = "keelson-" + sandbox + ".scope";
  const auto own = "keelson-" + id + ".scope";
  EXPECT_EQ(property(shims, "ActiveState"), "active");
  EXPECT_EQ(property(own, "ActiveState"), "active");
  EXPECT_EQ(property(own, "Slice"), "kubepods-burstable-pod1_2.slice");
  const auto path = cgroup::slice_path("kubepods-burstable-pod1_2.slice") + "/" + own;
  EXPECT_THAT(property(own, "ControlGroup"), EndsWith(path));
  if (limits_are_real_) {
    const auto limits = [&] {
      return file("cpu", path + "/cpu.shares") + file("cpu", path + "/cpu.cfs_quota_us") +
             file("memory", path + "/memory.limit_in_bytes") + file("devices", path + "/devices.list");
    };
    const auto before = limits();
    EXPECT_THAT(before, testing::StartsWith("256\n50000\n67108864\n"));
    EXPECT_THAT(before, HasSubstr("c 1:3 rwm"));
    EXPECT_THAT(before, testing::Not(HasSubstr("a *:* rwm")));
    EXPECT_EQ(output_of("systemctl daemon-reload"), "");
    EXPECT_EQ(limits(), before);
  }
  v1::ExecSyncResponse output;
  ASSERT_TRUE(exec(id, {"echo", "here"}, 60, &output).ok());
  EXPECT_EQ(output.stdout(), "here\n");
  restart();
  EXPECT_EQ(status_of(id).status().state(), v1::CONTAINER_RUNNING);
  ASSERT_TRUE(stop_container(id, 0).ok());
  ASSERT_TRUE(remove_container(id).ok());
  // systemd forgets a unit when it next has nothing else to do.
  wait_until("the container's scope has gone", [&] { return property(own, "LoadState") == "not-found"; });
  ASSERT_TRUE(remove_sandbox(sandbox).ok());
  wait_until("the sandbox's scope has gone", [&] { return property(shims, "LoadState") == "not-found"; });
  EXPECT_EQ(output_of("systemctl stop kubepods-burstable-pod1_2.slice kubepods-burstable.slice kubepods.slice"), "");
}

TEST_F(SystemdRuntimeTest, APodWithoutAParentIsInOurSlice) {
  const auto sandbox = run_sandbox(sandbox_config("alone"));
  const auto id = run_container(sandbox, container_config("main", {"sh", "-c", "exit 3"}));
  EXPECT_EQ(wait_exit(id).exit_code(), 3);
  EXPECT_EQ(property("keelson-" + sandbox + ".scope", "Slice"), "keelson.slice");
  ASSERT_TRUE(remove_sandbox(sandbox).ok());
}

TEST_F(SystemdRuntimeTest, AParentThatIsNoSliceIsRefused) {
  auto config = sandbox_config("path");
  config.mutable_linux()->set_cgroup_parent("/kubepods/pod1");
  v1::RunPodSandboxRequest request;
  *request.mutable_config() = config;
  v1::RunPodSandboxResponse response;
  const auto status = call(&v1::RuntimeService::Stub::RunPodSandbox, request, response);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("/kubepods/pod1"));
}

}  // namespace keelson::cri
