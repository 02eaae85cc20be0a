// SPDX-License-Identifier: Apache-2.0
// From CRI's wish to the shim's orders: users, arguments, environment, mounts, devices, rights.
#include "cri/runtime/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/mount.h>

#include <algorithm>

namespace keelson::cri {
namespace {

namespace v1 = ::runtime::v1;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Strings = std::vector<std::string>;

const ImageDefaults kImage{.entrypoint = {"/entry"},
                           .command = {"default"},
                           .env = {"PATH=/bin", "A=image"},
                           .working_dir = "/srv",
                           .user = "app:staff"};

class SpecTest : public testing::Test {
 protected:
  SpecInput input() const {
    return {.config = config_,
            .sandbox = sandbox_,
            .image = kImage,
            .id = "c1",
            .container_dir = "/state/c1",
            .sandbox_dir = "/run/s1",
            .sandbox_files_dir = "/state/s1",
            .seccomp_dir = "/seccomp",
            .layers = {"/top", "/base"},
            .cgroup_procs = {"/sys/fs/cgroup/memory/p/c1/cgroup.procs", "/sys/fs/cgroup/unified/p/c1/cgroup.procs"},
            .unified_cgroups = false,
            .target_pid = 0,
            .log_path = "/logs/0.log"};
  }
  shim::ContainerSpec spec() const {
    auto built = build_spec(input());
    EXPECT_TRUE(built) << built.error().message();
    return built.value_or(shim::ContainerSpec());
  }
  std::string error() const {
    auto built = build_spec(input());
    return built ? "no error" : built.error().message();
  }
  v1::LinuxContainerSecurityContext& security() { return *config_.mutable_linux()->mutable_security_context(); }
  static const shim::Mount* mount_at(const shim::ContainerSpec& spec, std::string_view target) {
    const auto found = std::ranges::find(spec.mounts, target, &shim::Mount::target);
    return found == spec.mounts.end() ? nullptr : &*found;
  }

  v1::ContainerConfig config_;
  v1::PodSandboxConfig sandbox_;
};

TEST_F(SpecTest, CommandAndArgs) {
  EXPECT_THAT(*process_args(config_, kImage), ElementsAre("/entry", "default"));
  config_.add_args("mine");
  EXPECT_THAT(*process_args(config_, kImage), ElementsAre("/entry", "mine"));
  config_.add_command("/other");
  EXPECT_THAT(*process_args(config_, kImage), ElementsAre("/other", "mine"));
  config_.clear_args();
  EXPECT_THAT(*process_args(config_, kImage), ElementsAre("/other"));
  config_.clear_command();
  EXPECT_FALSE(process_args(config_, {}));
}

TEST_F(SpecTest, LaterEnvironmentWins) {
  auto* entry = config_.add_envs();
  entry->set_key("A");
  entry->set_value("mine");
  config_.set_tty(true);
  EXPECT_THAT(process_env(config_, kImage, "host"), ElementsAre("PATH=/bin", "TERM=xterm", "HOSTNAME=host", "A=mine"));
}

TEST_F(SpecTest, User) {
  EXPECT_EQ(*process_user(security(), kImage), "app:staff");
  security().mutable_run_as_group()->set_value(7);
  EXPECT_THAT(error(), HasSubstr("run_as_group"));
  security().mutable_run_as_user()->set_value(0);
  EXPECT_EQ(*process_user(security(), kImage), "0:7");
  security().clear_run_as_user();
  security().set_run_as_username("www");
  EXPECT_EQ(spec().process.user, "www:7");
}

TEST_F(SpecTest, DefaultRights) {
  security().mutable_seccomp()->set_profile_type(v1::SecurityProfile::RuntimeDefault);
  security().set_no_new_privs(true);
  security().add_masked_paths("/proc/kcore");
  const auto built = spec();
  EXPECT_EQ(built.process.capabilities.bounding, default_capabilities());
  EXPECT_EQ(built.process.capabilities.effective, default_capabilities());
  EXPECT_EQ(built.process.capabilities.inheritable, 0u);
  EXPECT_TRUE(built.process.no_new_privs);
  EXPECT_FALSE(built.process.seccomp.empty());
  EXPECT_THAT(built.masked_paths, ElementsAre("/proc/kcore"));
  EXPECT_EQ(mount_at(built, "/sys")->flags & MS_RDONLY, MS_RDONLY);
  EXPECT_THAT(built.devices, testing::SizeIs(6));
}

TEST_F(SpecTest, PrivilegedIsUnconfined) {
  security().set_privileged(true);
  EXPECT_THAT(error(), HasSubstr("the sandbox is not privileged"));
  sandbox_.mutable_linux()->mutable_security_context()->set_privileged(true);
  security().mutable_seccomp()->set_profile_type(v1::SecurityProfile::RuntimeDefault);
  security().add_masked_paths("/proc/kcore");
  const auto built = spec();
  EXPECT_EQ(built.process.capabilities.bounding, all_capabilities());
  EXPECT_TRUE(built.process.seccomp.empty());
  EXPECT_THAT(built.masked_paths, IsEmpty());
  EXPECT_EQ(mount_at(built, "/sys")->flags & MS_RDONLY, 0u);
}

TEST_F(SpecTest, AmbientCapabilities) {
  security().mutable_capabilities()->add_drop_capabilities("ALL");
  security().mutable_capabilities()->add_add_ambient_capabilities("NET_ADMIN");
  const auto capabilities = spec().process.capabilities;
  EXPECT_EQ(capabilities.ambient, 1ull << CAP_NET_ADMIN);
  EXPECT_EQ(capabilities.inheritable, 1ull << CAP_NET_ADMIN);
  EXPECT_EQ(capabilities.bounding, 1ull << CAP_NET_ADMIN);
}

TEST_F(SpecTest, MissingLocalhostProfileIsNamed) {
  security().mutable_seccomp()->set_profile_type(v1::SecurityProfile::Localhost);
  security().mutable_seccomp()->set_localhost_ref("localhost/no/such.json");
  EXPECT_THAT(error(), HasSubstr("/seccomp/no/such.json"));
}

TEST_F(SpecTest, ThePodsPidNamespaceIsWhateverTheSandboxHas) {
  const auto pids = [&](v1::NamespaceMode sandbox, v1::NamespaceMode container) {
    sandbox_.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(sandbox);
    security().mutable_namespace_options()->set_pid(container);
    return spec().pid;
  };
  EXPECT_EQ(pids(v1::POD, v1::POD), shim::NamespaceMode::pod);
  EXPECT_EQ(pids(v1::NODE, v1::POD), shim::NamespaceMode::node);
  EXPECT_EQ(pids(v1::CONTAINER, v1::POD), shim::NamespaceMode::container);
  EXPECT_EQ(pids(v1::POD, v1::CONTAINER), shim::NamespaceMode::container);
}

TEST_F(SpecTest, MountsInOrderOfDepthAndOverOurs) {
  const auto add = [&](const std::string& target) {
    auto* mount = config_.add_mounts();
    mount->set_container_path(target);
    mount->set_host_path("/tmp");
    return mount;
  };
  add("/data/deep/er")->set_readonly(true);
  add("/data/");
  add("/etc/hosts");
  add("/dev/shm");
  add("/shared")->set_propagation(v1::PROPAGATION_BIDIRECTIONAL);
  const auto built = spec();
  const auto position = [&](std::string_view target) { return mount_at(built, target) - built.mounts.data(); };
  EXPECT_LT(position("/data"), position("/data/deep/er"));
  EXPECT_EQ(mount_at(built, "/data/deep/er")->flags, MS_RDONLY);
  EXPECT_EQ(mount_at(built, "/etc/hosts")->source, "/tmp");
  EXPECT_EQ(mount_at(built, "/etc/resolv.conf")->source, "/state/s1/resolv.conf");
  EXPECT_EQ(std::ranges::count(built.mounts, "/dev/shm", &shim::Mount::target), 1);
  EXPECT_EQ(mount_at(built, "/shared")->propagation, MS_SHARED);
  EXPECT_EQ(mount_at(built, "/data")->propagation, MS_PRIVATE);
}

TEST_F(SpecTest, RecursiveReadOnlyNeedsReadOnlyAndPrivate) {
  auto* mount = config_.add_mounts();
  mount->set_container_path("/data");
  mount->set_host_path("/tmp");
  mount->set_recursive_read_only(true);
  EXPECT_THAT(error(), HasSubstr("mounts[0]: /data: recursive_read_only needs readonly"));
  mount->set_readonly(true);
  mount->set_propagation(v1::PROPAGATION_HOST_TO_CONTAINER);
  EXPECT_THAT(error(), HasSubstr("PROPAGATION_PRIVATE"));
}

TEST_F(SpecTest, AppArmorIsEnforcedOrRefused) {
  auto asked = input();
  EXPECT_EQ(spec().process.apparmor_profile, "");
  security().mutable_apparmor()->set_profile_type(v1::SecurityProfile::Unconfined);
  EXPECT_EQ(spec().process.apparmor_profile, "");
  security().mutable_apparmor()->set_profile_type(v1::SecurityProfile::RuntimeDefault);
  const auto refused = build_spec(asked);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), Kind::unsupported);
  EXPECT_THAT(refused.error().message(), HasSubstr("linux.security_context.apparmor: apparmor is not supported"));
  security().mutable_apparmor()->set_profile_type(v1::SecurityProfile::Localhost);
  security().mutable_apparmor()->set_localhost_ref("localhost/mine");
  EXPECT_FALSE(build_spec(asked));
  asked.apparmor = true;
  EXPECT_EQ(build_spec(asked)->process.apparmor_profile, "mine");
  sandbox_.mutable_linux()->mutable_security_context()->set_privileged(true);
  security().set_privileged(true);
  EXPECT_EQ(build_spec(asked)->process.apparmor_profile, "mine") << "of a privileged one, too";
}

TEST_F(SpecTest, Devices) {
  auto* device = config_.add_devices();
  device->set_host_path("/dev/null");
  device->set_container_path("/dev/nothing");
  EXPECT_THAT(spec().devices, Contains(testing::Field(&shim::Device::path, "/dev/nothing")));
  device->set_host_path("/tmp/no-such-device");
  EXPECT_THAT(error(), HasSubstr("devices[0].host_path /tmp/no-such-device"));
}

TEST_F(SpecTest, ExecHasTheContainersRights) {
  security().set_no_new_privs(true);
  const auto process = exec_process(spec().process, {"sh"}, true);
  EXPECT_THAT(process.args, ElementsAre("sh"));
  EXPECT_TRUE(process.no_new_privs);
  EXPECT_EQ(process.user, "app:staff");
  EXPECT_THAT(process.env, Contains("TERM=xterm"));
}

}  // namespace
}  // namespace keelson::cri
