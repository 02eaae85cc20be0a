// SPDX-License-Identifier: Apache-2.0
// Volumes on a real file system: owners, links, tmpfs, subPaths, and nothing left.
#include "agent/config/volumes.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <atomic>
#include <filesystem>
#include <sstream>
#include <thread>

#include "agent/config/group_owner.h"
#include "common/fd.h"

namespace keelson::agent {
namespace {

namespace fs = std::filesystem;

constexpr long kTmpfs = 0x01021994;

struct stat at(const std::string& path) {
  struct stat info{};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info;
}

mode_t mode_of(const std::string& path) {
  return at(path).st_mode & 07777;
}

void write(const std::string& path, const std::string& text) {
  auto file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0600).value();
  ASSERT_TRUE(write_all(file.get(), text));
}

class VolumesTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  }
  VolumesTest() { pod.metadata = {.name = "web", .ns = "shop", .uid = "u1"}; }
  ~VolumesTest() override {
    EXPECT_TRUE(volumes.remove_all("u1"));
    fs::remove_all(dir);
  }
  kube::Volume& add_volume(const std::string& name) {
    pod.spec.volumes.emplace_back();
    pod.spec.volumes.back().name = name;
    return pod.spec.volumes.back();
  }
  /// Of a plugin's volumes, how many were mounted, unmounted, or could not be.
  uint64_t told(const std::string& plugin, const std::string& operation, const std::string& status = "success") {
    Stats all;
    stats->collect(all);
    const StatLabels wanted = {{"migrated", "false"},
                               {"operation_name", operation},
                               {"status", status},
                               {"volume_plugin", "kubernetes.io/" + plugin}};
    const auto family = all.families().find("storage_operation_duration_seconds");
    for (const auto& row : family == all.families().end() ? std::vector<StatSample>() : family->second.samples) {
      if (row.labels == wanted) {
        return row.histogram.at(0).count();
      }
    }
    return 0;
  }
  Result<> mount() { return volumes.mount_all(pod, objects, {}, {}); }
  size_t mounts() {
    std::istringstream table(read_file("/proc/self/mountinfo").value());
    size_t count = 0;
    for (std::string line; std::getline(table, line);) {
      count += line.find(dir) == std::string::npos ? 0 : 1;
    }
    return count;
  }

  static std::string make_dir() {
    std::string pattern = ::testing::TempDir() + "keelson-volumes-XXXXXX";
    return ::mkdtemp(pattern.data());
  }

  const std::string dir = make_dir();
  const std::shared_ptr<VolumeStats> stats = std::make_shared<VolumeStats>();
  const Volumes volumes{dir + "/state", stats};
  kube::Pod pod;
  kube::DesiredState objects;
};

TEST_F(VolumesTest, FsGroupFollowsNoLink) {
  write(dir + "/outside", "x");
  ASSERT_TRUE(make_directories(dir + "/volume/deep"));
  write(dir + "/volume/deep/file", "x");
  fs::create_symlink(dir + "/outside", dir + "/volume/link");
  fs::create_directory_symlink(dir, dir + "/volume/up");
  ASSERT_TRUE(give_to_group(dir + "/volume", {.fs_group = 4000}));
  EXPECT_EQ(at(dir + "/volume").st_gid, 4000U);
  EXPECT_EQ(mode_of(dir + "/volume/deep"), 02775U);
  EXPECT_EQ(at(dir + "/volume/deep/file").st_gid, 4000U);
  EXPECT_EQ(mode_of(dir + "/volume/deep/file"), 0660U);
  EXPECT_EQ(at(dir + "/volume/link").st_gid, 4000U);
  EXPECT_NE(at(dir + "/outside").st_gid, 4000U);
  EXPECT_EQ(mode_of(dir + "/outside"), 0600U);
  EXPECT_NE(at(dir).st_gid, 4000U);
}

TEST_F(VolumesTest, FsGroupIsNotLedOutByASwap) {
  ASSERT_TRUE(make_directories(dir + "/outside"));
  write(dir + "/outside/file", "x");
  ASSERT_TRUE(make_directories(dir + "/volume/a"));
  write(dir + "/volume/a/file", "x");
  fs::create_directory_symlink(dir + "/outside", dir + "/volume/b");
  std::atomic<bool> end = false;
  std::thread swapper([&] {
    while (!end) {
      ::renameat2(AT_FDCWD, (dir + "/volume/a").c_str(), AT_FDCWD, (dir + "/volume/b").c_str(), RENAME_EXCHANGE);
    }
  });
  for (int i = 0; i < 300; ++i) {
    EXPECT_TRUE(give_to_group(dir + "/volume", {.fs_group = 4000}));
  }
  end = true;
  swapper.join();
  EXPECT_NE(at(dir + "/outside").st_gid, 4000U);
  EXPECT_NE(at(dir + "/outside/file").st_gid, 4000U);
}

TEST_F(VolumesTest, OnRootMismatchLooksAtTheRootAlone) {
  kube::PodSecurityContext security{.fs_group = 4000,
                                    .fs_group_change_policy = kube::FsGroupChangePolicy::on_root_mismatch};
  ASSERT_TRUE(make_directories(dir + "/volume"));
  ASSERT_TRUE(give_to_group(dir + "/volume", security));
  write(dir + "/volume/later", "x");
  ASSERT_EQ(::chown((dir + "/volume/later").c_str(), 0, 0), 0);
  ASSERT_TRUE(give_to_group(dir + "/volume", security));
  EXPECT_EQ(at(dir + "/volume/later").st_gid, 0U);
}

TEST_F(VolumesTest, EachMountAndUnmountIsTold) {
  add_volume("scratch").empty_dir.emplace();
  add_volume("more").empty_dir.emplace();
  add_volume("secret").secret = kube::KeyedVolume{.name = "s"};
  add_volume("claim").persistent_volume_claim.emplace();
  EXPECT_FALSE(mount()) << "there is no such secret";
  EXPECT_EQ(told("empty-dir", "volume_mount"), 2U);
  EXPECT_EQ(told("secret", "volume_mount", "fail-unknown"), 1U);
  objects.secrets["shop/s"].data = {{"key", "0"}};
  ASSERT_TRUE(mount());
  EXPECT_EQ(told("secret", "volume_mount"), 1U);
  ASSERT_TRUE(volumes.refresh(pod, objects, {}, {}));
  EXPECT_EQ(told("secret", "volume_mount"), 2U);
  ASSERT_TRUE(volumes.remove_volumes("u1"));
  EXPECT_EQ(told("empty-dir", "volume_unmount"), 2U);
  EXPECT_EQ(told("secret", "volume_unmount"), 1U);
  EXPECT_EQ(mounts(), 0U);
  ASSERT_TRUE(volumes.remove_volumes("u1"));
  EXPECT_EQ(told("secret", "volume_unmount"), 1U) << "there was nothing";
}

TEST_F(VolumesTest, RefreshTouchesObjectVolumesAlone) {
  pod.spec.security_context.fs_group = 4000;
  add_volume("scratch").empty_dir = kube::EmptyDirVolume{};
  add_volume("config").config_map = kube::KeyedVolume{.name = "c"};
  objects.config_maps["shop/c"].data = {{"key", "old"}};
  ASSERT_TRUE(mount());
  auto scratch = volumes.path_of(pod, pod.spec.volumes[0]);
  auto config = volumes.path_of(pod, pod.spec.volumes[1]);
  EXPECT_EQ(at(scratch).st_gid, 4000U);
  write(scratch + "/file", "x");
  ASSERT_EQ(::chown((scratch + "/file").c_str(), 0, 0), 0);
  objects.config_maps["shop/c"].data = {{"key", "new"}};
  ASSERT_TRUE(volumes.refresh(pod, objects, {}, {}));
  EXPECT_EQ(read_file(config + "/key").value(), "new");
  EXPECT_EQ(at(scratch + "/file").st_gid, 0U);
}

TEST_F(VolumesTest, AnEmptyDirIsGivenToTheGroupOnceAndThenThePods) {
  pod.spec.security_context.fs_group = 4000;
  add_volume("data").empty_dir = kube::EmptyDirVolume{};
  add_volume("memory").empty_dir = kube::EmptyDirVolume{.medium = "Memory"};
  ASSERT_TRUE(mount());
  for (const auto& volume : pod.spec.volumes) {
    const auto folder = volumes.path_of(pod, volume);
    EXPECT_EQ(at(folder).st_gid, 4000U);
    // As a database does, with the folder before there is a file in it.
    ASSERT_EQ(::chmod(folder.c_str(), 0700), 0);
    ASSERT_TRUE(mount());
    EXPECT_EQ(mode_of(folder), 0700U);
    write(folder + "/key", "x");
    ASSERT_TRUE(mount());
    EXPECT_EQ(mode_of(folder), 0700U);
    EXPECT_EQ(mode_of(folder + "/key"), 0600U);
  }
  // The machine starts anew: of the memory nothing is left.
  const auto memory = volumes.path_of(pod, pod.spec.volumes[1]);
  ASSERT_EQ(::umount2(memory.c_str(), MNT_DETACH), 0);
  ASSERT_TRUE(mount());
  EXPECT_EQ(mode_of(memory), 02777U);
  EXPECT_EQ(at(memory).st_gid, 4000U);
  ASSERT_TRUE(volumes.remove_volumes("u1"));
  ASSERT_TRUE(mount());
  EXPECT_EQ(mode_of(volumes.path_of(pod, pod.spec.volumes[0])), 02777U) << "nothing tells of the one before";
}

TEST_F(VolumesTest, ASourceThatIsNotKnownIsNoEmptyFolder) {
  auto& volume = add_volume("future");
  EXPECT_EQ(mount().error().message(),
            "MountVolume.SetUp failed for volume \"future\" : no volume plugin matched: this node does not know the "
            "volume's source");
  EXPECT_FALSE(fs::exists(volumes.path_of(pod, volume)));
}

TEST_F(VolumesTest, MemoryIsNoLargerThanThePodMayUse) {
  add_volume("memory").empty_dir = kube::EmptyDirVolume{.medium = "Memory"};
  add_volume("secret").secret = kube::KeyedVolume{.name = "s"};
  objects.secrets["shop/s"].data = {{"password", "p"}};
  NodeFacts node;
  node.allocatable_memory = 64 << 20;
  ASSERT_TRUE(volumes.mount_all(pod, objects, node, {}));
  for (const auto& volume : pod.spec.volumes) {
    struct statfs info{};
    ASSERT_EQ(::statfs(volumes.path_of(pod, volume).c_str(), &info), 0);
    EXPECT_EQ(info.f_blocks * static_cast<uint64_t>(info.f_bsize), 64U << 20);
  }
}

TEST_F(VolumesTest, HugePagesAreMountedInTheSizeThatIsRequested) {
  if (!fs::exists("/sys/kernel/mm/hugepages/hugepages-2048kB")) {
    GTEST_SKIP() << "SKIP: needs huge pages of 2 MiB";
  }
  constexpr long kHugetlbfs = 0x958458f6;
  auto& volume = add_volume("pages");
  volume.empty_dir = kube::EmptyDirVolume{.medium = "HugePages"};
  EXPECT_EQ(mount().error().message(),
            "MountVolume.SetUp failed for volume \"pages\" : medium HugePages: hugePages storage requested, but there "
            "is no resource request for huge pages");
  pod.spec.containers.emplace_back().resources.requests["hugepages-2Mi"] = kube::Quantity::of(4 << 20);
  pod.spec.security_context.fs_group = 4000;
  ASSERT_TRUE(mount()) << mount().error().message();
  ASSERT_TRUE(mount());
  EXPECT_EQ(mounts(), 1U);
  const auto folder = volumes.path_of(pod, volume);
  struct statfs info{};
  ASSERT_EQ(::statfs(folder.c_str(), &info), 0);
  EXPECT_EQ(info.f_type, kHugetlbfs);
  EXPECT_EQ(info.f_bsize, 2 << 20);
  EXPECT_EQ(mode_of(folder), 02777U);
  EXPECT_EQ(at(folder).st_gid, 4000U);
}

TEST_F(VolumesTest, ATokenIsItsUsersAloneAndNeverOnADisk) {
  auto& sources = add_volume("api").projected.emplace().sources;
  sources.emplace_back().service_account_token = {.audience = "", .expiration_seconds = 3607, .path = "token"};
  sources.emplace_back().config_map.emplace().name = "kube-root-ca.crt";
  objects.config_maps["shop/kube-root-ca.crt"].data = {{"ca.crt", "authority"}};
  EXPECT_EQ(
      mount().error().message(),
      "MountVolume.SetUp failed for volume \"api\" : a service account token needs a control plane, and this node "
      "has none");
  TokenMap tokens;
  EXPECT_FALSE(volumes.mount_all(pod, objects, {}, {}, &tokens));
  tokens[token_key(*pod.spec.volumes[0].projected->sources[0].service_account_token)] = "one";
  ASSERT_TRUE(volumes.mount_all(pod, objects, {}, {}, &tokens));
  const auto folder = volumes.path_of(pod, pod.spec.volumes[0]);
  EXPECT_EQ(read_file(folder + "/token").value(), "one");
  EXPECT_EQ(read_file(folder + "/ca.crt").value(), "authority");
  EXPECT_EQ(mode_of(folder + "/..data/token"), 0644U);
  struct statfs info{};
  ASSERT_EQ(::statfs(folder.c_str(), &info), 0);
  EXPECT_EQ(info.f_type, kTmpfs);

  auto& container = pod.spec.containers.emplace_back();
  container.security_context.emplace().run_as_user = 1234;
  tokens.begin()->second = "two";
  ASSERT_TRUE(volumes.refresh(pod, objects, {}, {}, &tokens));
  EXPECT_EQ(read_file(folder + "/token").value(), "two");
  EXPECT_EQ(mode_of(folder + "/..data/token"), 0600U);
  EXPECT_EQ(at(folder + "/..data/token").st_uid, 1234U);
  pod.spec.containers.emplace_back();  // another user: the group's bits decide
  pod.spec.security_context.fs_group = 4000;
  ASSERT_TRUE(volumes.refresh(pod, objects, {}, {}, &tokens));
  EXPECT_EQ(mode_of(folder + "/..data/token"), 0640U);
  EXPECT_EQ(at(folder + "/..data/token").st_gid, 4000U);
}

TEST_F(VolumesTest, SecretsAndMemoryAreTmpfsAndAllGoes) {
  add_volume("secret").secret = kube::KeyedVolume{.name = "s", .default_mode = 0400};
  add_volume("memory").empty_dir = kube::EmptyDirVolume{.medium = "Memory", .size_limit = kube::Quantity::of(1 << 20)};
  add_volume("config").config_map = kube::KeyedVolume{.name = "none", .optional = true};
  objects.secrets["shop/s"].data = {{"password", "p"}};
  ASSERT_TRUE(mount());
  ASSERT_TRUE(mount());
  EXPECT_EQ(mounts(), 2U);
  struct statfs info{};
  ASSERT_EQ(::statfs(volumes.path_of(pod, pod.spec.volumes[0]).c_str(), &info), 0);
  EXPECT_EQ(info.f_type, kTmpfs);
  ASSERT_EQ(::statfs(volumes.path_of(pod, pod.spec.volumes[1]).c_str(), &info), 0);
  EXPECT_EQ(info.f_type, kTmpfs);
  EXPECT_EQ(info.f_blocks * static_cast<uint64_t>(info.f_bsize), 1U << 20);
  EXPECT_EQ(mode_of(volumes.path_of(pod, pod.spec.volumes[0])), 01777U);
  EXPECT_EQ(mode_of(volumes.path_of(pod, pod.spec.volumes[1])), 0777U);
  EXPECT_EQ(mode_of(volumes.path_of(pod, pod.spec.volumes[2])), 0777U);
  struct stat password{};
  ASSERT_EQ(::stat((volumes.path_of(pod, pod.spec.volumes[0]) + "/password").c_str(), &password), 0);
  EXPECT_EQ(password.st_mode & 07777, 0400U);
  EXPECT_EQ(read_file(volumes.path_of(pod, pod.spec.volumes[0]) + "/password").value(), "p");
  ASSERT_TRUE(volumes.remove_all("u1"));
  EXPECT_EQ(mounts(), 0U);
  EXPECT_TRUE(volumes.list().value().empty());
  EXPECT_TRUE(volumes.remove_all("u1"));
}

TEST_F(VolumesTest, ASubPathStaysInTheVolume) {
  ASSERT_TRUE(make_directories(dir + "/volume"));
  write(dir + "/secret", "outside");
  fs::create_symlink("../secret", dir + "/volume/up");
  fs::create_symlink(dir, dir + "/volume/absolute");
  // Inside the volume there is nothing where they point to.
  EXPECT_FALSE(volumes.sub_path(pod, dir + "/volume", "v", "main", 0, "absolute/secret"));
  EXPECT_FALSE(volumes.sub_path(pod, dir + "/volume", "v", "main", 1, "up"));
  EXPECT_FALSE(volumes.sub_path(pod, dir + "/volume", "v", "main", 2, "absolute/new"));
  EXPECT_FALSE(fs::exists(dir + "/new"));
  write(dir + "/volume/secret", "inside");
  EXPECT_EQ(read_file(volumes.sub_path(pod, dir + "/volume", "v", "main", 3, "up").value()).value(), "inside");
  EXPECT_EQ(read_file(dir + "/secret").value(), "outside");
  ASSERT_TRUE(volumes.remove_all("u1"));
  EXPECT_EQ(mounts(), 0U);
}

TEST_F(VolumesTest, MissingSubPathFoldersHaveTheVolumesMode) {
  ASSERT_TRUE(make_directories(dir + "/volume"));
  ASSERT_EQ(::chmod((dir + "/volume").c_str(), 02777), 0);
  auto path = volumes.sub_path(pod, dir + "/volume", "v", "main", 0, "a/b");
  ASSERT_TRUE(path) << path.error().message();
  EXPECT_EQ(mode_of(dir + "/volume/a"), 02777U);
  EXPECT_EQ(mode_of(*path), 02777U);
  // A pin holds what it was made for, whatever takes the name later.
  write(*path + "/mine", "x");
  fs::rename(dir + "/volume/a/b", dir + "/volume/a/c");
  fs::create_directory_symlink("/etc", dir + "/volume/a/b");
  EXPECT_TRUE(fs::exists(*path + "/mine"));
}

}  // namespace
}  // namespace keelson::agent
