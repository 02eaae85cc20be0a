// SPDX-License-Identifier: Apache-2.0
// Bundles against the OCI runtime-spec's names, and what a runtime's log says.
#include "cri/shim/oci/bundle.h"

#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cri/shim/oci/command.h"
#include "cri/shim/oci/json.h"

namespace keelson::cri::shim::oci {
namespace {

using testing::HasSubstr;
using testing::Not;

ContainerSpec container() {
  ContainerSpec spec;
  spec.id = "c1";
  spec.process.args = {"sh", "-c", "echo \"a\tb\\\""};
  spec.process.env = {"PATH=/bin"};
  spec.process.capabilities.bounding = 1 << 0 | 1 << 10;
  spec.process.supplemental_gids = {7, 5};
  spec.process.rlimits = {{.resource = RLIMIT_NOFILE, .soft = 10, .hard = 20}};
  spec.oom_score_adj = -3;
  spec.oci.cgroups_path = "/pod/c1";
  return spec;
}

const User kWeb{.uid = 33, .gid = 34, .home = "/home/web", .groups = {50, 5}};

TEST(Bundle, ProcessIsWhoAndWhatTheSpecSays) {
  const auto text = config_document(container(), kWeb, {});
  EXPECT_THAT(text, HasSubstr(R"("ociVersion":"1.0.2")"));
  EXPECT_THAT(text, HasSubstr(R"("args":["sh","-c","echo \"a\u0009b\\\""])"));
  EXPECT_THAT(text, HasSubstr(R"("user":{"uid":33,"gid":34,"additionalGids":[5,7,50]})"));
  EXPECT_THAT(text, HasSubstr(R"("bounding":["CAP_CHOWN","CAP_NET_BIND_SERVICE"],"effective":[])"));
  EXPECT_THAT(text, HasSubstr(R"("rlimits":[{"type":"RLIMIT_NOFILE","soft":10,"hard":20}])"));
  EXPECT_THAT(text, HasSubstr(R"("oomScoreAdj":-3)"));
  EXPECT_THAT(text, HasSubstr(R"("env":["PATH=/bin","HOME=/home/web"])"));
  EXPECT_THAT(text, HasSubstr(R"("cgroupsPath":"/pod/c1")"));

  auto strict = container();
  strict.process.image_groups = false;
  strict.process.env = {"HOME=/data"};
  const auto other = config_document(strict, kWeb, {});
  EXPECT_THAT(other, HasSubstr(R"("additionalGids":[5,7])"));
  EXPECT_THAT(other, HasSubstr(R"("env":["HOME=/data"])"));
}

TEST(Bundle, MountsHaveTheirOptionsAndCgroupsAreOneMount) {
  auto spec = container();
  const auto filesystem = [](const char* type, const char* target, uint64_t flags, const char* data) {
    Mount mount;
    mount.kind = MountKind::filesystem;
    mount.type = mount.source = type;
    mount.target = target;
    mount.flags = flags;
    mount.data = data;
    return mount;
  };
  Mount volume;
  volume.source = "/srv/data";
  volume.target = "/data";
  volume.flags = MS_RDONLY;
  volume.recursive_read_only = true;
  spec.mounts = {filesystem("tmpfs", "/dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"),
                 filesystem("tmpfs", "/sys/fs/cgroup", MS_NOSUID, "mode=755"),
                 filesystem("cgroup", "/sys/fs/cgroup/cpu", MS_RDONLY | MS_NOEXEC, "cpu"),
                 filesystem("cgroup", "/sys/fs/cgroup/memory", MS_RDONLY | MS_NOEXEC, "memory"), volume};
  auto text = config_document(spec, kWeb, {});
  EXPECT_THAT(
      text,
      HasSubstr(
          R"({"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","strictatime","mode=755","size=65536k"]})"));
  EXPECT_THAT(
      text,
      HasSubstr(
          R"({"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","options":["ro","noexec"]},{"dest)"));
  EXPECT_THAT(text, Not(HasSubstr("/sys/fs/cgroup/memory")));
  EXPECT_THAT(
      text,
      HasSubstr(
          R"({"destination":"/data","type":"bind","source":"/srv/data","options":["rbind","rprivate","ro","rro"]})"));
  EXPECT_THAT(text, Not(HasSubstr("rootfsPropagation")));

  spec.mounts.back().propagation = MS_SHARED;
  text = config_document(spec, kWeb, {});
  EXPECT_THAT(text, HasSubstr(R"("options":["rbind","rshared")"));
  EXPECT_THAT(text, HasSubstr(R"("rootfsPropagation":"rshared")"));
}

TEST(Bundle, NamespacesAreJoinedByPathOrNew) {
  auto spec = container();
  spec.devices = {{.path = "/dev/sda", .type = S_IFBLK, .major = 8, .minor = 0, .mode = 0660, .uid = 1, .gid = 2}};
  spec.oci.seccomp = R"({"defaultAction":"SCMP_ACT_ALLOW"})";
  const auto text = config_document(spec, kWeb, {{"mount", ""}, {"network", "/run/netns/p"}});
  EXPECT_THAT(text, HasSubstr(R"("namespaces":[{"type":"mount"},{"type":"network","path":"/run/netns/p"}])"));
  EXPECT_THAT(text, HasSubstr(R"({"path":"/dev/sda","type":"b","major":8,"minor":0,"fileMode":432,"uid":1,"gid":2})"));
  EXPECT_THAT(text, HasSubstr(R"("seccomp":{"defaultAction":"SCMP_ACT_ALLOW"})"));
}

TEST(RuntimeLog, TheLastErrorIsTold) {
  EXPECT_EQ(last_error(""), "");
  EXPECT_EQ(last_error("{\"level\":\"warning\",\"msg\":\"old\",\"time\":\"t\"}\n"
                       "{\"level\":\"error\",\"msg\":\"exec: \\\"no\\\": \\u003cgone\\u003e\",\"time\":\"t\"}\n"
                       "{\"level\":\"info\",\"msg\":\"bye\"}\n"),
            "exec: \"no\": <gone>");
  EXPECT_EQ(last_error("a plain line\nanother\n\n"), "another");
  EXPECT_EQ(last_error("{\"level\":\"warning\",\"msg\":\"alone\"}"), "alone");
  EXPECT_EQ(text_of("{\"msg\":\"cut \\", "msg"), "cut ");
  EXPECT_EQ(text_of("{\"msg\":\"cut \\u00", "msg"), std::string("cut ") + '\0');
  EXPECT_EQ(text_of("{\"msg\" : 7}", "msg"), "");
}

}  // namespace
}  // namespace keelson::cri::shim::oci
