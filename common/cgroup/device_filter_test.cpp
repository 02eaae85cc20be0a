// SPDX-License-Identifier: Apache-2.0
// On whatever v2 hierarchy there is, that of a hybrid node too.
#include "common/cgroup/device_filter.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <filesystem>

#include "common/cgroup/tree.h"
#include "common/fd.h"

namespace keelson::cgroup {
namespace {

namespace fs = std::filesystem;

class DeviceFilterTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* root : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
      if (fs::exists(std::string(root) + "/cgroup.controllers")) {
        dir_ = fmt::format("{}/keelson-devices-{}", root, ::getpid());
      }
    }
    if (dir_.empty() || ::geteuid() != 0 || !fs::create_directory(dir_)) {
      dir_.clear();
      GTEST_SKIP() << "SKIP: needs root and cgroup v2";
    }
  }
  void TearDown() override {
    if (!dir_.empty()) {
      EXPECT_TRUE(fs::remove(dir_));
    }
  }

  /// What a process of the cgroup hears when it opens the device: 0 or errno.
  int open_inside(const char* device, int flags) {
    const auto pid = ::fork();
    if (pid == 0) {
      if (!write_value(dir_ + "/cgroup.procs", "0")) {
        ::_exit(255);
      }
      ::_exit(::open(device, flags | O_CLOEXEC) >= 0 ? 0 : errno);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
  }

  std::string dir_;
};

TEST_F(DeviceFilterTest, OnlyWhatIsAllowed) {
  ASSERT_EQ(open_inside("/dev/full", O_RDWR), 0);
  const auto attached = attach_device_filter(dir_, {"c 1:3 rwm", "c 1:5 r", "b *:* m", "c 5:* rw"});
  ASSERT_TRUE(attached) << attached.error().message();
  EXPECT_EQ(open_inside("/dev/null", O_RDWR), 0);
  EXPECT_EQ(open_inside("/dev/zero", O_RDONLY), 0);
  EXPECT_EQ(open_inside("/dev/zero", O_WRONLY), EPERM);
  EXPECT_EQ(open_inside("/dev/zero", O_RDWR), EPERM) << "one of two is not enough";
  EXPECT_EQ(open_inside("/dev/full", O_RDONLY), EPERM);
  EXPECT_EQ(open_inside("/dev/ptmx", O_RDWR), 0) << "any minor";
}

TEST_F(DeviceFilterTest, TheLastOneCounts) {
  ASSERT_TRUE(attach_device_filter(dir_, {"c 1:3 rwm"}));
  ASSERT_TRUE(attach_device_filter(dir_, {"c 1:7 rw"}));
  EXPECT_EQ(open_inside("/dev/null", O_RDONLY), EPERM);
  EXPECT_EQ(open_inside("/dev/full", O_RDONLY), 0);
  ASSERT_TRUE(attach_device_filter(dir_, {"a"}));
  EXPECT_EQ(open_inside("/dev/null", O_RDWR), 0);
  ASSERT_TRUE(attach_device_filter(dir_, {}));
  EXPECT_EQ(open_inside("/dev/null", O_RDONLY), EPERM);
}

TEST_F(DeviceFilterTest, AWrongRuleIsNamedAndChangesNothing) {
  ASSERT_TRUE(attach_device_filter(dir_, {"c 1:3 rw"}));
  for (const char* rule : {"", "c", "d 1:3 r", "c 1 r", "c 1:3", "c 1:3 x", "c 1:3x r", "c -1:3 r", "c 1:3 r w"}) {
    const auto refused = attach_device_filter(dir_, {"a", rule});
    ASSERT_FALSE(refused) << rule;
    EXPECT_EQ(refused.error().kind(), Kind::invalid);
    EXPECT_THAT(refused.error().message(), testing::HasSubstr(fmt::format("\"{}\"", rule)));
  }
  EXPECT_EQ(open_inside("/dev/null", O_RDONLY), 0);
  EXPECT_EQ(open_inside("/dev/full", O_RDONLY), EPERM);
}

}  // namespace
}  // namespace keelson::cgroup
