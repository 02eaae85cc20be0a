// SPDX-License-Identifier: Apache-2.0
// What a container finds in its file system, and what its image cannot make of ours.
#include <gmock/gmock.h>
#include <linux/capability.h>
#include <sched.h>

#include "cri/shim/node_proc.h"
#include "cri/shim/shim_fixture.h"

namespace keelson::cri::shim {
namespace {

TEST_F(ShimTest, LinksInTheImageLeadNowhere) {
  fs::create_directory_symlink(dir_, dir_ + "/layer/escape");
  fs::create_directory_symlink("../../../../../../tmp", dir_ + "/layer/up");
  fs::create_directories(dir_ + "/source");
  std::ofstream(dir_ + "/source/file") << "from outside";
  launch();
  auto spec = container("c", {"sh", "-c", "cat /escape/inside/file /up/inside/file"});
  spec.mounts.push_back({.source = dir_ + "/source", .target = "/escape/inside", .flags = MS_RDONLY});
  spec.mounts.push_back({.source = dir_ + "/source", .target = "/up/inside"});
  auto created = client_->create(spec);
  EXPECT_FALSE(fs::exists(dir_ + "/inside"));
  EXPECT_FALSE(fs::exists("/tmp/inside"));
  if (created) {
    ASSERT_TRUE(client_->start("c"));
    wait_exit("c", "");
  }
}

TEST_F(ShimTest, ADeviceIsNeverMadeThroughALink) {
  fs::create_directories(dir_ + "/volume");
  std::ofstream(dir_ + "/secret") << "of the node";
  ::chmod((dir_ + "/secret").c_str(), 0600);
  fs::create_symlink(dir_ + "/secret", dir_ + "/volume/null");
  launch();
  auto spec = container("c", {"true"});
  spec.mounts.push_back({.source = dir_ + "/volume", .target = "/dev"});
  auto created = client_->create(spec);
  ASSERT_FALSE(created);
  EXPECT_NE(created.error().message().find("device /dev/null"), std::string::npos) << created.error().message();
  EXPECT_EQ(fs::status(dir_ + "/secret").permissions() & fs::perms::mask,
            fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(ShimTest, VolumesReadOnlyAndWritable) {
  fs::create_directories(dir_ + "/volume");
  launch();
  auto spec = container(
      "c", {"sh", "-c", "exec 2>&1; touch /ro/x || echo refused; touch /rw/y; touch /z || echo read-only root"});
  spec.mounts.push_back({.source = dir_ + "/volume", .target = "/ro", .flags = MS_RDONLY});
  spec.mounts.push_back({.source = dir_ + "/volume", .target = "/rw"});
  spec.read_only_root = true;
  run(spec);
  EXPECT_EQ(output("c"),
            "touch: /ro/x: Read-only file system\nrefused\ntouch: /z: Read-only file system\nread-only root\n");
  EXPECT_TRUE(fs::exists(dir_ + "/volume/y"));
}

TEST_F(ShimTest, ManyLayersFit) {
  constexpr int kLayers = 127;
  auto spec =
      container("c", {"sh", "-c", "cat /file; ls /layers | wc -l; touch /written; mount | grep -c ' / .*volatile'"});
  spec.lower_dirs.clear();
  const std::string long_name(64, 'f');  // as a digest in hexadecimal
  for (int i = kLayers; i > 0; --i) {
    auto layer = dir_ + "/layers/" + long_name + std::to_string(i);
    fs::create_directories(layer + "/layers");
    std::ofstream(layer + "/layers/" + std::to_string(i)) << "x";
    std::ofstream(layer + "/file") << "layer " << i << "\n";
    spec.lower_dirs.push_back(layer);
  }
  spec.lower_dirs.push_back(dir_ + "/layer");
  spec.overlay_options = "volatile";
  launch();
  EXPECT_EQ(run(spec).exit_code, 0);
  EXPECT_EQ(output("c"), "layer 127\n127\n1\n") << "the first layer is on top, and all are there";
  EXPECT_TRUE(fs::exists(spec.upper_dir + "/written"));
}

TEST_F(ShimTest, ProcIsNotMountedThroughALink) {
  fs::create_directories(dir_ + "/layer/elsewhere");
  fs::create_directory_symlink("/elsewhere", dir_ + "/layer/proc");
  launch();
  auto created = client_->create(container("c", {"true"}));
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().message(), "mount /proc: the image has a link there, and only a folder is safe");
}

/// A mount namespace of the test's own whose mounts are all shared, as a node's are under systemd.
class SharedMounts {
 public:
  SharedMounts()
      : old_(::open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC)), folder_(::open(".", O_PATH | O_CLOEXEC)) {
    EXPECT_EQ(::unshare(CLONE_NEWNS), 0);
    EXPECT_EQ(::mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr), 0);
    EXPECT_EQ(::mount(nullptr, "/", nullptr, MS_SHARED | MS_REC, nullptr), 0);
  }
  ~SharedMounts() {
    EXPECT_EQ(::setns(old_.get(), CLONE_NEWNS), 0);  // which leads to "/"
    EXPECT_EQ(::fchdir(folder_.get()), 0);
  }
  static std::string table() { return read_file("/proc/thread-self/mountinfo").value_or(""); }

 private:
  Fd old_;
  Fd folder_;
};

TEST_F(ShimTest, SharedVolumesReachTheNodeAndNothingElseDoes) {
  SharedMounts node;
  fs::create_directories(dir_ + "/volume/made");
  launch();
  const auto before = SharedMounts::table();
  auto spec = container("c", {"sh", "-c", "mount -t tmpfs made /volume/made && cat"});
  auto& caps = spec.process.capabilities;
  for (auto* set : {&caps.bounding, &caps.permitted, &caps.effective}) {
    *set |= 1U << CAP_SYS_ADMIN;
  }
  spec.mounts.push_back({.source = dir_ + "/volume", .target = "/volume", .propagation = MS_SHARED});
  spec.stdin_open = true;
  spec.stdin_once = true;
  ASSERT_TRUE(client_->create(spec));
  EXPECT_EQ(SharedMounts::table(), before) << "the container's own mounts are not the node's";
  auto input = client_->attach("c", 1, 2, true);
  ASSERT_TRUE(client_->start("c"));
  ASSERT_TRUE(input && *input);
  for (int i = 0; i < 6000 && SharedMounts::table() == before; ++i) {
    ::usleep(10'000);
  }
  EXPECT_THAT(SharedMounts::table(), testing::HasSubstr(dir_ + "/volume/made "));
  ASSERT_EQ(::umount((dir_ + "/volume/made").c_str()), 0);
  input->reset();
  EXPECT_EQ(wait_exit("c", "").exit_code, 0) << output("c");
  EXPECT_EQ(SharedMounts::table(), before);
}

/// Two layers of an image, and what mounts them at /data.
Mount image_mount(const std::string& dir, const std::string& sub_path = {}) {
  for (const char* folder : {"/together", "/top", "/base/deep/dir"}) {
    fs::create_directories(dir + folder);
  }
  std::ofstream(dir + "/top/file") << "top\n";
  std::ofstream(dir + "/base/file") << "base\n";
  std::ofstream(dir + "/base/deep/dir/found") << "deep\n";
  std::ofstream(dir + "/base/run") << "#!/bin/sh\necho it runs\n";
  fs::permissions(dir + "/base/run", fs::perms::all);
  fs::create_symlink("/deep/dir", dir + "/base/link");
  fs::create_symlink("../../../../../../.." + dir, dir + "/base/out");
  return {.kind = MountKind::image,
          .source = dir + "/together",
          .target = "/data",
          .flags = MS_RDONLY | MS_NOEXEC,
          .layers = {dir + "/top", dir + "/base"},
          .sub_path = sub_path};
}

TEST_F(ShimTest, AnImageIsMountedForOneContainerToRead) {
  SharedMounts node;
  launch();
  const auto before = SharedMounts::table();
  auto spec = container("c", {"sh", "-c",
                              "exec 2>&1; cat /data/file /data/link/found; touch /data/x; touch /data/file; /data/run; "
                              "ls /data | wc -l"});
  spec.mounts.push_back(image_mount(dir_));
  auto created = client_->create(spec);
  ASSERT_TRUE(created) << created.error().message();
  EXPECT_EQ(SharedMounts::table(), before) << "the node sees nothing of it";
  ASSERT_TRUE(client_->start("c"));
  wait_exit("c", "");
  EXPECT_EQ(output("c"),
            "top\ncat: can't open '/data/link/found': No such file or directory\n"
            "touch: /data/x: Read-only file system\ntouch: /data/file: Read-only file system\n"
            "sh: /data/run: Permission denied\n5\n");
  EXPECT_TRUE(fs::is_empty(dir_ + "/together"));
}

TEST_F(ShimTest, ASubPathOfAnImageStaysInIt) {
  launch();
  auto spec = container("c", {"cat", "/data/found"});
  spec.mounts.push_back(image_mount(dir_, "link"));
  EXPECT_EQ(run(spec).exit_code, 0);
  EXPECT_EQ(output("c"), "deep\n") << "a link is followed where the image is the root";

  const auto error_of = [&](const std::string& sub_path) {
    auto wrong = container("wrong", {"true"});
    wrong.mounts.push_back(spec.mounts.back());
    wrong.mounts.back().sub_path = sub_path;
    auto created = client_->create(wrong);
    return created ? "no error" : created.error().message();
  };
  EXPECT_EQ(error_of("absent"), "ImageVolumeMountFailed: sub path \"absent\" does not exist in the image");
  EXPECT_EQ(error_of("out/layer"), "ImageVolumeMountFailed: sub path \"out/layer\" does not exist in the image");
  EXPECT_EQ(error_of("../layer"), "ImageVolumeMountFailed: sub path \"../layer\" does not exist in the image");
  EXPECT_THAT(error_of("file"), testing::EndsWith("Not a directory")) << "only folders are mounted";
}

/// A container whose /dev is its image's own.
ContainerSpec with_image_dev(ContainerSpec spec) {
  std::erase_if(spec.mounts, [](const Mount& mount) { return mount.target.starts_with("/dev"); });
  spec.devices.clear();
  return spec;
}

TEST_F(ShimTest, NothingIsMaskedByAFalseNull) {
  fs::create_directories(dir_ + "/layer/dev");
  std::ofstream(dir_ + "/layer/secret") << "of the image";
  fs::create_symlink("/secret", dir_ + "/layer/dev/null");
  launch();
  auto spec = with_image_dev(container("c", {"true"}));
  spec.masked_paths = {"/proc/version"};
  auto created = client_->create(spec);
  ASSERT_FALSE(created);
  EXPECT_THAT(created.error().message(), testing::StartsWith("mask /proc/version: /dev/null in the container is not"));

  fs::remove(dir_ + "/layer/dev/null");
  std::ofstream(dir_ + "/layer/dev/null") << "a file";
  created = client_->create(spec);
  ASSERT_FALSE(created);
  EXPECT_THAT(created.error().message(), testing::StartsWith("mask /proc/version: /dev/null in the container is not"));

  spec.masked_paths.clear();
  created = client_->create(spec);
  ASSERT_FALSE(created) << "nor is it anybody's standard input";
  EXPECT_THAT(created.error().message(), testing::StartsWith("/dev/null in the container is not"));
}

TEST_F(ShimTest, ATerminalIsOfTheContainersDevpts) {
  fs::create_directories(dir_ + "/layer/dev");
  std::ofstream(dir_ + "/layer/secret") << "of the image";
  fs::create_symlink("/secret", dir_ + "/layer/dev/ptmx");
  launch();
  auto spec = with_image_dev(container("c", {"true"}));
  spec.masked_paths.clear();
  spec.process.tty = true;
  auto created = client_->create(spec);
  ASSERT_FALSE(created);
  EXPECT_THAT(created.error().message(), testing::StartsWith("/dev/ptmx in the container is not"));
}

TEST(NodeProcTest, RefusesWhatIsMountedOverAnAttribute) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "SKIP: needs root (mounts)";
  }
  // In a child: the mount namespace is its own.
  const auto child = ::fork();
  if (child == 0) {
    bool right = ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) == 0;
    auto proc = NodeProc::open();
    right = right && proc && proc->open_file("self/attr/exec", O_WRONLY).has_value();
    const auto attribute = "/proc/" + std::to_string(::getpid()) + "/attr/exec";
    right = right && ::mount("/proc/sys/kernel/panic", attribute.c_str(), nullptr, MS_BIND, nullptr) == 0;
    right = right && !proc->open_file("self/attr/exec", O_WRONLY);
    right = right && !proc->open_file("self/exe", O_RDONLY) && !proc->open_file("../etc/passwd", O_RDONLY);
    right = right && ::mount("tmpfs", "/proc", "tmpfs", 0, nullptr) == 0 && !NodeProc::open();
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace keelson::cri::shim
