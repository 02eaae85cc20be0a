// SPDX-License-Identifier: Apache-2.0
// Containers in a user namespace: who they are, whose their files are, and what is left of the node's rights.
#include "cri/shim/user_namespace.h"

#include <gmock/gmock.h>

#include "cri/shim/shim_fixture.h"

namespace keelson::cri::shim {
namespace {

using testing::HasSubstr;

constexpr uint32_t kHost = 300000;

class UserNamespaceTest : public ShimTest {
 protected:
  void SetUp() override {
    ShimTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    if (const auto here = try_user_namespace(dir_); !here) {
      GTEST_SKIP() << "SKIP: needs user namespaces and idmapped mounts: " << here.error().message();
    }
  }

  void launch_mapped(NamespaceMode pid = NamespaceMode::container, uint32_t length = 65536) {
    mappings_ = {{.container = 0, .host = kHost, .length = length}};
    launch(pid);
  }

  struct stat info(const std::string& path) {
    struct stat found{};
    EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
    return found;
  }
};

TEST_F(UserNamespaceTest, RootInsideIsNobodyOutside) {
  launch_mapped();
  auto spec = container("c", {"sh", "-c", "id -u; id -g; cat /proc/self/uid_map; echo $$; hostname; sleep 1000"});
  ASSERT_TRUE(client_->create(spec));
  auto started = client_->start("c");
  ASSERT_TRUE(started) << started.error().message();
  EXPECT_EQ(info("/proc/" + std::to_string(started->pid)).st_uid, kHost);
  for (int i = 0; i < 12'000 && lines_with(output("c"), "pod-name") == 0; ++i) {
    ::usleep(5000);
  }
  EXPECT_EQ(output("c"), "0\n0\n         0     300000      65536\n1\npod-name\n");
  ASSERT_TRUE(client_->signal("c", SIGKILL, false));
  EXPECT_EQ(wait_exit("c", "").signal, SIGKILL);
}

TEST_F(UserNamespaceTest, FilesKeepTheirOwnersOnDisk) {
  fs::create_directories(dir_ + "/layer/home/web");
  ASSERT_EQ(::chown((dir_ + "/layer/home/web").c_str(), 33, 34), 0);
  fs::create_directories(dir_ + "/mapped");
  fs::create_directories(dir_ + "/plain");
  launch_mapped();
  auto spec =
      container("c", {"sh", "-c",
                      "touch /new /home/web/new /mapped/new; ls -ld /home/web /new /mapped/new /plain /dev/null "
                      "/dev /dev/pts | tr -s ' ' | cut -d' ' -f3-4; touch /plain/new || echo refused"});
  spec.mounts.push_back({.source = dir_ + "/mapped", .target = "/mapped", .idmapped = true});
  spec.mounts.push_back({.source = dir_ + "/plain", .target = "/plain"});
  fs::create_symlink("busybox", dir_ + "/layer/bin/cut");
  EXPECT_EQ(run(spec).exit_code, 0);
  EXPECT_EQ(
      output("c"),
      "root root\nroot root\n65534 65534\nweb web\nroot root\nroot root\n65534 65534\ntouch: /plain/new: Permission "
      "denied\nrefused\n");
  EXPECT_EQ(info(spec.upper_dir + "/new").st_uid, 0U);
  EXPECT_EQ(info(dir_ + "/mapped/new").st_uid, 0U);
}

TEST_F(UserNamespaceTest, AnImageThatIsMountedHasItsOwners) {
  for (const char* folder : {"/together", "/top", "/base"}) {
    fs::create_directories(dir_ + folder);
  }
  std::ofstream(dir_ + "/top/web") << "x";
  std::ofstream(dir_ + "/base/root") << "x";
  ASSERT_EQ(::chown((dir_ + "/top/web").c_str(), 33, 34), 0);
  launch_mapped();
  fs::create_symlink("busybox", dir_ + "/layer/bin/cut");
  auto spec = container("c", {"sh", "-c", "ls -l /data/root /data/web | tr -s ' ' | cut -d' ' -f3-4"});
  spec.mounts.push_back({.kind = MountKind::image,
                         .source = dir_ + "/together",
                         .target = "/data",
                         .flags = MS_RDONLY,
                         .idmapped = true,
                         .layers = {dir_ + "/top", dir_ + "/base"}});
  EXPECT_EQ(run(spec).exit_code, 0);
  EXPECT_EQ(output("c"), "root root\nweb web\n");
}

TEST_F(UserNamespaceTest, RootInsideMayNothingOutside) {
  launch_mapped();
  auto spec = container("c", {"sh", "-c",
                              "exec 2>&1; umount /sys; mount -o remount,bind,rw /sys; mount -t tmpfs none /etc && echo "
                              "mounted; echo 1 > /proc/sys/vm/drop_caches; mknod /block b 8 0; grep CapEff "
                              "/proc/self/status; cat /proc/timer_list; hostname other && hostname"});
  auto& caps = spec.process.capabilities;
  caps.bounding = caps.permitted = caps.effective = 0x1ffffffffff;
  for (const char* applet : {"umount", "mknod"}) {
    fs::create_symlink("busybox", dir_ + "/layer/bin/" + applet);
  }
  EXPECT_EQ(run(spec).exit_code, 0);
  const auto said = output("c");
  EXPECT_THAT(said, HasSubstr("umount: can't unmount /sys: Invalid argument")) << "what is mounted is locked";
  EXPECT_THAT(said, HasSubstr("mount: permission denied")) << "and its flags are";
  EXPECT_THAT(said, HasSubstr("mounted\n")) << "the mount namespace is theirs";
  EXPECT_THAT(said, HasSubstr("mknod: /block: Operation not permitted"));
  EXPECT_THAT(said, HasSubstr("drop_caches: Read-only file system"));
  EXPECT_THAT(said, HasSubstr("CapEff:\t000001ffffffffff"));
  EXPECT_THAT(said, testing::EndsWith("other\n")) << "the UTS namespace is theirs, and timer_list is masked";
}

TEST_F(UserNamespaceTest, UsersAndExecsToo) {
  launch_mapped();
  auto spec =
      container("c", {"sh", "-c", "id -u; id -g; echo out > /dev/stdout; touch /dev/shm 2>/dev/null; sleep 1000"});
  spec.process.user = "web";
  spec.process.cwd = "/made/for/it";
  ASSERT_TRUE(client_->create(spec));
  auto started = client_->start("c");
  ASSERT_TRUE(started) << started.error().message();
  for (int i = 0; i < 12'000 && lines_with(output("c"), "out") == 0; ++i) {
    ::usleep(5000);
  }
  EXPECT_EQ(output("c"), "33\n34\nout\n") << "a pipe belongs to who writes into it";
  EXPECT_EQ(info("/proc/" + std::to_string(started->pid)).st_uid, kHost + 33);

  ProcessSpec exec = spec.process;
  exec.user = "";
  exec.args = {"sh", "-c", "id -u > /by-exec; ls /proc | grep -c '^[0-9]' >> /by-exec"};
  auto executed = client_->exec("c", "e", exec, {});
  ASSERT_TRUE(executed) << executed.error().message();
  EXPECT_EQ(wait_exit("c", "e").exit_code, 0);
  EXPECT_EQ(text_of(spec.upper_dir + "/by-exec").substr(0, 2), "0\n");
  EXPECT_EQ(info(spec.upper_dir + "/by-exec").st_uid, 0U);

  exec.tty = true;
  exec.user = "web";
  exec.args = {"sh", "-c", "stty size && test -t 0 && exit 7"};
  auto terminal = client_->exec_terminal("c", "t", exec);
  ASSERT_TRUE(terminal) << terminal.error().message();
  EXPECT_EQ(wait_exit("c", "t").exit_code, 7);
}

TEST_F(UserNamespaceTest, ASharedPidNamespaceIsTheirsToo) {
  launch_mapped(NamespaceMode::pod, 1000);
  auto first = container("a", {"sleep", "1234"});
  first.pid = NamespaceMode::pod;
  auto created = client_->create(first);
  ASSERT_TRUE(created) << created.error().message();
  ASSERT_TRUE(client_->start("a"));
  auto second = container("b", {"sh", "-c", "cat /proc/1/comm; ps | grep -c '[s]leep 1234'; grep Uid /proc/1/status"});
  second.pid = NamespaceMode::pod;
  run(second);
  EXPECT_EQ(output("b"), "pod-init\n1\nUid:\t999\t999\t999\t999\n") << "pod-init's user fits into few ids";
}

TEST_F(UserNamespaceTest, ManyLayersAndNone) {
  launch_mapped();
  auto many = container("many", {"sh", "-c", "cat /file; ls -l /file | tr -s ' ' | cut -d' ' -f3"});
  fs::create_symlink("busybox", dir_ + "/layer/bin/cut");
  many.lower_dirs.clear();
  for (int i = 100; i > 0; --i) {
    const auto layer = dir_ + "/layers/" + std::string(64, 'f') + std::to_string(i);
    fs::create_directories(layer);
    std::ofstream(layer + "/file") << "layer " << i << "\n";
    many.lower_dirs.push_back(layer);
  }
  many.lower_dirs.push_back(dir_ + "/layer");
  EXPECT_EQ(run(many).exit_code, 0);
  EXPECT_EQ(output("many"), "layer 100\nroot\n");

  auto none = container("none", {"sh", "-c", "id -u; ls -ld /bin | tr -s ' ' | cut -d' ' -f3; echo x > /new"});
  none.lower_dirs.clear();
  none.upper_dir = none.work_dir = "";
  none.rootfs_dir = dir_ + "/layer";
  EXPECT_EQ(run(none).exit_code, 0);
  EXPECT_EQ(output("none"), "0\nroot\n");
  EXPECT_EQ(info(dir_ + "/layer/new").st_uid, 0U);
}

TEST_F(UserNamespaceTest, WhatCannotBeMappedIsNamed) {
  launch_mapped();
  auto spec = container("c", {"true"});
  spec.mounts.push_back({.source = "/proc/sys", .target = "/volume", .idmapped = true});
  auto created = client_->create(spec);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().message(),
            "mount /volume: source /proc/sys: its file system cannot be mounted with mapped owners");
  auto node = container("n", {"true"});
  node.pid = NamespaceMode::node;
  EXPECT_EQ(client_->create(node).error().kind(), Kind::invalid);
}

}  // namespace
}  // namespace keelson::cri::shim
