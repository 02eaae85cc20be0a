// SPDX-License-Identifier: Apache-2.0
// Local volumes of a disk that is a file behind a loop device: formatted once, shared, and given back.
#include "agent/storage/local_volumes.h"

#include <gmock/gmock.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "agent/config/volume_mounts.h"
#include "agent/storage/loop_device.h"
#include "common/fd.h"

namespace keelson::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class LocalVolumesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "SKIP: needs root (mounts, loop devices)";
    }
    static const bool own =
        ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    ASSERT_TRUE(own);
    std::string pattern = "/tmp/keelson-local-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
    std::ofstream(dir_ + "/image").close();
    fs::resize_file(dir_ + "/image", 16 << 20);
    const auto device = attach_loop(dir_ + "/image");
    if (!device) {
      GTEST_SKIP() << "SKIP: needs a loop device: " << device.error().message();
    }
    device_ = *device;
    bound_.name = "disk-volume";
    bound_.volume.local = kube::LocalVolume{.path = device_, .fs_type = {}};
  }
  void TearDown() override {
    if (!device_.empty()) {
      EXPECT_TRUE(agent::mounts_below(dir_).value().empty()) << "a mount was left";
      EXPECT_TRUE(loops_become(1)) << "a loop device was left";
      EXPECT_TRUE(detach_loops(dir_ + "/image"));
    }
    if (!dir_.empty()) {
      fs::remove_all(dir_);
    }
  }

  static kube::Pod pod(const std::string& uid) {
    kube::Pod pod;
    pod.metadata.uid = uid;
    return pod;
  }
  std::string at(const std::string& uid) const {
    return dir_ + "/root/pods/" + uid + "/volumes/kubernetes.io~local-volume/disk-volume";
  }
  std::string disk() const { return dir_ + "/root/plugins/kubernetes.io/local-volume/mounts/disk-volume"; }
  /// Devices whose file is below the test's folder.
  int loops() const {
    int count = 0;
    for (const auto& entry : fs::directory_iterator("/sys/block")) {
      count += read_file(entry.path() / "loop/backing_file").value_or("").starts_with(dir_) ? 1 : 0;
    }
    return count;
  }

  /// Whoever looks at disks (udev) may hold one open for a moment, and it goes when nobody does.
  bool loops_become(int count) const {
    for (int i = 0; i < 6000 && loops() != count; ++i) {
      ::usleep(10'000);
    }
    return loops() == count;
  }

  std::string dir_;
  std::string device_;
  BoundVolume bound_;
};

TEST_F(LocalVolumesTest, ADiskIsFormattedOnceAndSharedUntilTheLastPodHasGone) {
  LocalVolumes volumes(dir_ + "/root");
  const auto first = volumes.mount(pod("u1"), bound_);
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_EQ(first->path, at("u1"));
  std::ofstream(at("u1") + "/file") << "kept";
  ASSERT_TRUE(volumes.mount(pod("u2"), bound_));
  ASSERT_TRUE(volumes.mount(pod("u2"), bound_)) << "again";
  EXPECT_EQ(read_file(at("u2") + "/file").value(), "kept");
  EXPECT_EQ(agent::mounts_below(dir_).value().size(), 3U);

  ASSERT_TRUE(volumes.unmount("u1"));
  EXPECT_FALSE(fs::exists(at("u1")));
  EXPECT_TRUE(agent::is_mount_point(disk()).value()) << "the second has it";
  ASSERT_TRUE(volumes.unmount("u2"));
  EXPECT_FALSE(fs::exists(disk()));
  ASSERT_TRUE(volumes.unmount("u2")) << "again";

  ASSERT_TRUE(volumes.mount(pod("u3"), bound_));
  EXPECT_EQ(read_file(at("u3") + "/file").value(), "kept") << "what is on a disk stays";
  ASSERT_TRUE(volumes.unmount("u3"));
}

TEST_F(LocalVolumesTest, WhatADeadAgentLeftIsTidiedUp) {
  {
    LocalVolumes volumes(dir_ + "/root");
    ASSERT_TRUE(volumes.mount(pod("u1"), bound_));
    ASSERT_EQ(::umount(at("u1").c_str()), 0);
    ASSERT_TRUE(remove_tree(dir_ + "/root/pods/u1"));
    ASSERT_TRUE(volumes.mount(pod("u2"), bound_));
  }
  LocalVolumes volumes(dir_ + "/root");
  ASSERT_TRUE(volumes.tidy());
  EXPECT_TRUE(agent::is_mount_point(disk()).value()) << "u2 has it";
  ASSERT_EQ(::umount(at("u2").c_str()), 0);
  ASSERT_TRUE(remove_tree(dir_ + "/root/pods/u2"));
  ASSERT_TRUE(volumes.tidy());
  EXPECT_FALSE(fs::exists(disk()));
}

TEST_F(LocalVolumesTest, ABlockVolumeIsTheDeviceAndHeldByALoopDevice) {
  bound_.volume.volume_mode = kube::VolumeMode::block;
  LocalVolumes volumes(dir_ + "/root");
  const auto mapped = volumes.mount(pod("u1"), bound_);
  ASSERT_TRUE(mapped) << mapped.error().message();
  EXPECT_TRUE(mapped->block);
  EXPECT_EQ(fs::canonical(mapped->path), device_);
  EXPECT_EQ(loops(), 2) << "the disk itself, and what holds it";
  ASSERT_TRUE(volumes.mount(pod("u1"), bound_));
  EXPECT_EQ(loops(), 2);
  ASSERT_TRUE(volumes.unmount("u1"));
  EXPECT_TRUE(loops_become(1));
  EXPECT_FALSE(fs::exists(dir_ + "/root/plugins/kubernetes.io~local-volume/volumeDevices/disk-volume"));

  ASSERT_TRUE(volumes.mount(pod("u2"), bound_));
  ASSERT_TRUE(remove_tree(dir_ + "/root/pods/u2"));
  ASSERT_TRUE(volumes.tidy());
}

TEST_F(LocalVolumesTest, WhatCannotBeMountedIsToldInTheKubeletsWords) {
  LocalVolumes volumes(dir_ + "/root");
  const auto trouble = [&] {
    const auto mounted = volumes.mount(pod("u1"), bound_);
    return mounted ? "" : mounted.error().message();
  };
  bound_.read_only = true;
  EXPECT_THAT(trouble(),
              StartsWith("MountVolume.MountDevice failed for volume \"disk-volume\" : local: failed to mount "
                         "device " +
                         device_));
  EXPECT_THAT(trouble(), HasSubstr("(fstype: ext4), error cannot mount unformatted disk"));
  EXPECT_FALSE(fs::exists(disk()));
  bound_.volume.local->path = dir_ + "/image";
  EXPECT_THAT(trouble(), HasSubstr("only directory and block device are supported"));
  bound_.volume.volume_mode = kube::VolumeMode::block;
  EXPECT_THAT(trouble(), HasSubstr("MapVolume.MapBlockVolume failed for volume \"disk-volume\" : path"));
  ASSERT_TRUE(volumes.unmount("u1"));
}

/// Kernels let only who has CAP_SYS_RESOURCE do this; so it is a program that is told what to do, and does not.
TEST_F(LocalVolumesTest, ADisksFileSystemGrowsAndAFolderHasNothingToGrow) {
  std::vector<std::string> grown;
  LocalVolumes volumes(dir_ + "/root", [&](const Command& command) -> Result<CommandOutput> {
    if (command.args.front() != "/usr/sbin/resize2fs") {
      return run_command(command);
    }
    grown.push_back(command.args.back());
    return CommandOutput{};
  });
  EXPECT_EQ(volumes.grow("u1", bound_).error().kind(), Kind::conflict) << "it is not mounted";
  ASSERT_TRUE(volumes.mount(pod("u1"), bound_));
  const auto done = volumes.grow("u1", bound_);
  EXPECT_TRUE(done) << done.error().message();
  EXPECT_THAT(grown, ::testing::ElementsAre(device_));
  ASSERT_TRUE(volumes.unmount("u1"));
  bound_.volume.local->path = dir_;
  EXPECT_TRUE(volumes.grow("u1", bound_));
  bound_.volume.volume_mode = kube::VolumeMode::block;
  EXPECT_TRUE(volumes.grow("u1", bound_));
  EXPECT_EQ(grown.size(), 1U);
}

}  // namespace
}  // namespace keelson::storage
