// SPDX-License-Identifier: Apache-2.0
// CDI: which devices a container wants, what their vendors say of them, and what a container is made of then.
#include "cri/runtime/cdi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cri/runtime/cdi_spec.h"
#include "cri/runtime/spec.h"

namespace keelson::cri::cdi {
namespace {

namespace fs = std::filesystem;
namespace v1 = ::runtime::v1;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kYaml = R"(
cdiVersion: "0.6.0"
kind: vendor.com/gpu
annotations: {note: whatever}
containerEdits:
  env: [VENDOR=all]
devices:
- name: gpu0
  annotations: {note: whatever}
  containerEdits:
    env: [GPU=0]
    deviceNodes:
    - {path: /dev/gpu0, hostPath: /dev/null, permissions: r, fileMode: 0640, uid: 7, gid: 8}
    - {path: /dev/ctl, type: c, major: 195, minor: 255}
    mounts:
    - {hostPath: /tmp, containerPath: /opt/gpu/, options: [ro, nosuid, nodev, rbind, rslave]}
    hooks:
    - {hookName: createContainer, path: /usr/bin/hook, args: [hook, ldcache], env: [A=b], timeout: 5}
    additionalGids: [44, 0]
- name: gpu1
  containerEdits: {env: [GPU=1]}
)";

constexpr const char* kJson =
    R"({"cdiVersion":"0.3.0","kind":"vendor.com/nic","devices":[{"name":"0","containerEdits":{"env":["NIC=0"]}}]})";

class CdiTest : public ::testing::Test {
 protected:
  CdiTest() {
    char name[] = "/tmp/keelson-cdi-XXXXXX";
    dir_ = ::mkdtemp(name);
    for (const char* folder : {"/etc", "/run"}) {
      fs::create_directories(dir_ + folder);
    }
  }
  ~CdiTest() override { fs::remove_all(dir_); }
  void write(const std::string& file, const std::string& text) const { std::ofstream(dir_ + "/" + file) << text; }
  Result<Edits> find(const std::vector<std::string>& devices) const {
    return find_edits({dir_ + "/etc", dir_ + "/run", dir_ + "/nowhere"}, devices);
  }
  std::string trouble(const std::vector<std::string>& devices) const {
    const auto found = find(devices);
    return found ? "" : found.error().message();
  }
  static std::string wrong(const std::string& from, const std::string& to) {
    std::string text = kYaml;
    text.replace(text.find(from), from.size(), to);
    const auto spec = parse_spec(text);
    return spec ? "" : spec.error().message();
  }

  std::string dir_;
};

TEST_F(CdiTest, ADeviceComesWithItsOwnAndWithItsKinds) {
  write("etc/gpu.yaml", kYaml);
  write("run/nic.json", kJson);
  write("run/notes.txt", "no spec");
  const auto edits = find({"vendor.com/gpu=gpu0", "vendor.com/nic=0", "vendor.com/gpu=gpu1"});
  ASSERT_TRUE(edits) << edits.error().message();
  EXPECT_THAT(edits->env, ElementsAre("VENDOR=all", "GPU=0", "NIC=0", "GPU=1"));
  EXPECT_THAT(edits->nodes, ElementsAre(DeviceNode{.path = "/dev/gpu0",
                                                   .host_path = "/dev/null",
                                                   .type = "",
                                                   .major = {},
                                                   .minor = {},
                                                   .mode = 0640,
                                                   .uid = 7,
                                                   .gid = 8,
                                                   .permissions = "r"},
                                        DeviceNode{.path = "/dev/ctl",
                                                   .host_path = "",
                                                   .type = "c",
                                                   .major = 195,
                                                   .minor = 255,
                                                   .mode = {},
                                                   .uid = {},
                                                   .gid = {},
                                                   .permissions = "rwm"}));
  EXPECT_THAT(edits->mounts, ElementsAre(Mount{.host_path = "/tmp",
                                               .container_path = "/opt/gpu/",
                                               .type = "",
                                               .options = {"ro", "nosuid", "nodev", "rbind", "rslave"}}));
  EXPECT_THAT(edits->hooks, ElementsAre(Hook{.name = "createContainer",
                                             .path = "/usr/bin/hook",
                                             .args = {"hook", "ldcache"},
                                             .env = {"A=b"},
                                             .timeout = 5}));
  EXPECT_THAT(edits->groups, ElementsAre(44, 0));
  EXPECT_EQ(find({}).value(), Edits());
}

TEST_F(CdiTest, ALaterFoldersDeviceGoesBeforeAnEarliersAndTwoOfOneFolderAreNone) {
  std::string other = kJson;
  other.replace(other.find("NIC=0"), 5, "NIC=x");
  write("etc/nic.json", kJson);
  write("run/nic.json", other);
  EXPECT_THAT(find({"vendor.com/nic=0"})->env, ElementsAre("NIC=x"));
  write("run/again.json", other);
  EXPECT_EQ(trouble({"vendor.com/nic=0"}),
            "unresolvable CDI devices vendor.com/nic=0 (vendor.com/nic=0 is described by " + dir_ +
                "/run/again.json and " + dir_ + "/run/nic.json)");
}

TEST_F(CdiTest, WhatNobodyDescribesIsToldWithWhatCannotBeRead) {
  EXPECT_EQ(trouble({"vendor.com/nic=0", "vendor.com/nic=1"}),
            "unresolvable CDI devices vendor.com/nic=0, vendor.com/nic=1");
  write("etc/bad.yaml", "kind: [");
  write("etc/nic.json", kJson);
  EXPECT_TRUE(find({"vendor.com/nic=0"})) << "another's mistake";
  EXPECT_THAT(trouble({"vendor.com/nic=1"}), HasSubstr("/etc/bad.yaml: "));
}

TEST_F(CdiTest, WhatIsWrongInASpecIsNamed) {
  EXPECT_EQ(wrong("0.6.0", "0.6.0"), "");
  EXPECT_EQ(wrong("0.6.0", "9.0.0"), "cdiVersion: \"9.0.0\" is not known");
  EXPECT_EQ(wrong("vendor.com/gpu", "gpu"), "kind: \"gpu\" is not vendor.com/class");
  EXPECT_EQ(wrong("GPU=0", "GPU"), "devices[0].containerEdits.env[0]: not NAME=value");
  EXPECT_EQ(wrong("major: 195", "major: x"),
            "devices[0].containerEdits.deviceNodes[1].major: not a number in its range");
  EXPECT_EQ(wrong("hostPath: /dev/null", "hostpath: /dev/null"),
            "devices[0].containerEdits.deviceNodes[0].hostpath: unknown field");
  EXPECT_EQ(wrong("type: c,", "type: x,"),
            "devices[0].containerEdits.deviceNodes[1]: type is none of b, c, u, p: \"x\"");
  EXPECT_EQ(wrong("createContainer", "createcontainer"),
            "devices[0].containerEdits.hooks[0]: hookName is none of OCI's: \"createcontainer\"");
  EXPECT_EQ(wrong("gpu1", "gpu0"), "devices[1]: device \"gpu0\" is there twice");
  EXPECT_EQ(wrong("gpu1", "gpu_"), "devices[1]: invalid device name \"gpu_\"");
  EXPECT_EQ(wrong("containerPath: /opt/gpu/", "containerPath: opt"),
            "devices[0].containerEdits.mounts[0]: containerPath is not an absolute path: \"opt\"");
  for (const char* text : {"", "[]", "7", "{}", "kind: vendor.com/x", "\t"}) {
    EXPECT_FALSE(parse_spec(text)) << text;
  }
}

TEST_F(CdiTest, DevicesAreWantedByTheFieldAndByAnnotations) {
  v1::ContainerConfig config;
  EXPECT_THAT(*wanted_devices(config), IsEmpty());
  config.add_cdi_devices()->set_name("vendor.com/gpu=1");
  (*config.mutable_annotations())["cdi.k8s.io/plugin_a"] = "vendor.com/gpu=0,vendor.com/gpu=1";
  (*config.mutable_annotations())["cdi.k8s.io/plugin_b"] = "vendor.com/nic=eth0";
  (*config.mutable_annotations())["other"] = "vendor.com/nic=eth1";
  EXPECT_THAT(*wanted_devices(config), ElementsAre("vendor.com/gpu=1", "vendor.com/gpu=0", "vendor.com/nic=eth0"));
  for (const char* bad : {"", "gpu", "vendor.com/gpu", "vendor.com/gpu=", "=0", "1vendor/gpu=0", "vendor.com/gpu=0,"}) {
    (*config.mutable_annotations())["cdi.k8s.io/plugin_b"] = bad;
    const auto wanted = wanted_devices(config);
    ASSERT_FALSE(wanted) << bad;
    EXPECT_THAT(wanted.error().message(), HasSubstr("annotation cdi.k8s.io/plugin_b: invalid CDI device name"));
  }
}

class CdiSpecTest : public CdiTest {
 protected:
  SpecInput input() const {
    return {.config = config_,
            .sandbox = sandbox_,
            .image = image_,
            .id = "c1",
            .container_dir = "/state/c1",
            .sandbox_dir = "/run/s1",
            .sandbox_files_dir = "/state/s1",
            .seccomp_dir = "",
            .layers = {"/base"},
            .cgroup_procs = {},
            .log_path = "",
            .cdi_edits = edits_};
  }

  const ImageDefaults image_{
      .entrypoint = {"/entry"}, .command = {}, .env = {"GPU=none"}, .working_dir = "", .user = ""};
  v1::ContainerConfig config_;
  v1::PodSandboxConfig sandbox_;
  Edits edits_;
};

TEST_F(CdiSpecTest, AContainerIsMadeWithThem) {
  write("etc/gpu.yaml", kYaml);
  edits_ = find({"vendor.com/gpu=gpu0"}).value();
  auto* own = config_.add_mounts();
  own->set_host_path("/");
  own->set_container_path("/opt/gpu");
  const auto asked = input();
  const auto spec = build_spec(asked);
  ASSERT_TRUE(spec) << spec.error().message();
  EXPECT_THAT(spec->process.env, Contains("GPU=0"));
  EXPECT_THAT(spec->process.env, Not(Contains("GPU=none")));
  EXPECT_THAT(spec->process.supplemental_gids, Contains(44));
  const auto device = std::ranges::find(spec->devices, "/dev/gpu0", &shim::Device::path);
  ASSERT_NE(device, spec->devices.end());
  EXPECT_EQ(device->major, 1);
  EXPECT_EQ(device->minor, 3) << "what /dev/null is";
  EXPECT_EQ(device->mode, 0640);
  EXPECT_EQ(device->uid, 7);
  EXPECT_THAT(device_rules(asked, *spec), Contains("c 195:255 rwm"));
  EXPECT_THAT(device_rules(asked, *spec), Contains("c 1:3 r"));
  ASSERT_EQ(std::ranges::count(spec->mounts, "/opt/gpu", &shim::Mount::target), 1) << "the vendor's, not its own";
  const auto mount = std::ranges::find(spec->mounts, "/opt/gpu", &shim::Mount::target);
  EXPECT_EQ(mount->source, "/tmp");
  EXPECT_EQ(mount->flags, MS_RDONLY | MS_NOSUID | MS_NODEV);
  EXPECT_EQ(mount->propagation, MS_SLAVE);
}

TEST_F(CdiSpecTest, WhatTheNodeLacksIsNamed) {
  const auto error = [&] {
    const auto spec = build_spec(input());
    return spec ? "" : spec.error().message();
  };
  edits_.nodes = {{.path = "/dev/no-such-device"}};
  EXPECT_THAT(error(), HasSubstr("CDI device node /dev/no-such-device: No such file"));
  edits_.nodes = {{.path = "/dev/x", .host_path = "/dev/null", .type = "b"}};
  EXPECT_EQ(error(), "CDI device node /dev/null: no device of type b");
  edits_.nodes = {{.path = "/dev/x", .host_path = "/tmp"}};
  EXPECT_EQ(error(), "CDI device node /tmp: no device of type b or c");
  edits_.nodes = {};
  edits_.mounts = {{.host_path = "/no/such/place", .container_path = "/x", .type = "", .options = {}}};
  EXPECT_THAT(error(), HasSubstr("CDI mount /x: /no/such/place: No such file"));
  edits_.mounts = {{.host_path = "/tmp", .container_path = "/x", .type = "", .options = {"sideways"}}};
  EXPECT_EQ(error(), "CDI mount /x: option \"sideways\" is not known");
}

TEST_F(CdiSpecTest, ADeviceIsHeldToThePermissionsThatWereAskedForIt) {
  auto* device = config_.add_devices();
  device->set_host_path("/dev/null");
  device->set_container_path("/dev/nothing");
  device->set_permissions("r");
  const auto asked = input();
  EXPECT_THAT(device_rules(asked, *build_spec(asked)), Contains("c 1:3 r"));
}

}  // namespace
}  // namespace keelson::cri::cdi
