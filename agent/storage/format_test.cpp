// SPDX-License-Identifier: Apache-2.0
// What is done to a disk before it is mounted, by what is on it.
#include "agent/storage/format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace keelson::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Programs that answer what they are told to, by their names; others succeed.
class FormatTest : public ::testing::Test {
 protected:
  std::vector<std::string> mount(const DiskMount& wanted) {
    ran.clear();
    outcome = format_and_mount(wanted, run);
    return ran;
  }
  /// Of the file system on /dev/sdz, which is mounted at /t.
  std::vector<std::string> grow() {
    ran.clear();
    outcome = grow_file_system("/dev/sdz", "/t", run);
    return ran;
  }
  static constexpr const char* kLook = "/usr/sbin/blkid -p -s TYPE -s PTTYPE -o export /dev/sdz";

  std::map<std::string, CommandOutput> answers;
  std::vector<std::string> ran;
  const Runner run = [this](const Command& command) -> Result<CommandOutput> {
    ran.push_back(fmt::format("{}", fmt::join(command.args, " ")));
    const auto name = command.args.front().substr(command.args.front().rfind('/') + 1);
    const auto answer = answers.find(name);
    return answer != answers.end() ? answer->second : CommandOutput{};
  };
  Result<> outcome;
};

TEST_F(FormatTest, AnEmptyDiskGetsAFileSystem) {
  answers["blkid"].exit_code = 2;
  EXPECT_THAT(
      mount({.device = "/dev/sdz", .target = "/t"}),
      ElementsAre(kLook, "/usr/sbin/mkfs.ext4 -F -m0 /dev/sdz", "/usr/bin/mount -t ext4 -o defaults /dev/sdz /t"));
  EXPECT_TRUE(outcome);
  EXPECT_THAT(
      mount({.device = "/dev/sdz", .target = "/t", .fs_type = "xfs", .options = {"noatime"}}),
      ElementsAre(kLook, "/usr/sbin/mkfs.xfs -f /dev/sdz", "/usr/bin/mount -t xfs -o noatime,defaults /dev/sdz /t"));
}

TEST_F(FormatTest, WhatIsOnADiskIsCheckedAndNeverFormatted) {
  answers["blkid"].out = "DEVNAME=/dev/sdz\nTYPE=ext4\n";
  EXPECT_THAT(mount({.device = "/dev/sdz", .target = "/t"}),
              ElementsAre(kLook, "/usr/sbin/fsck -a /dev/sdz", "/usr/bin/mount -t ext4 -o defaults /dev/sdz /t"));
  answers["blkid"].out = "PTTYPE=dos\n";
  answers["mount"] = {.exit_code = 32, .out = {}, .error = "wrong fs type"};
  EXPECT_THAT(mount({.device = "/dev/sdz", .target = "/t"}), ::testing::Not(::testing::Contains(HasSubstr("mkfs"))));
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message(), HasSubstr("mount failed: exit status 32"));
}

TEST_F(FormatTest, AReadOnlyDiskIsNotWritten) {
  answers["blkid"].exit_code = 2;
  EXPECT_THAT(mount({.device = "/dev/sdz", .target = "/t", .options = {"ro"}}), ElementsAre(kLook));
  EXPECT_EQ(outcome.error().message(),
            "cannot mount unformatted disk /dev/sdz as we are manipulating it in read-only mode");
  answers["blkid"] = {.exit_code = 0, .out = "TYPE=ext4\n", .error = {}};
  EXPECT_THAT(mount({.device = "/dev/sdz", .target = "/t", .options = {"ro"}}),
              ElementsAre(kLook, "/usr/bin/mount -t ext4 -o ro,defaults /dev/sdz /t"));
}

TEST_F(FormatTest, AFileSystemThatCannotBeMendedIsNotMounted) {
  answers["blkid"].out = "TYPE=ext4\n";
  answers["fsck"] = {.exit_code = 4, .out = "UNEXPECTED INCONSISTENCY", .error = {}};
  mount({.device = "/dev/sdz", .target = "/t"});
  EXPECT_EQ(outcome.error().message(),
            "'fsck' found errors on device /dev/sdz but could not correct them: UNEXPECTED INCONSISTENCY");
  answers["fsck"].exit_code = 1;
  mount({.device = "/dev/sdz", .target = "/t"});
  EXPECT_TRUE(outcome) << "they were mended";
}

TEST_F(FormatTest, AFileSystemGrowsByItsOwnProgram) {
  const std::map<std::string, std::string> expected = {{"ext3", "/usr/sbin/resize2fs /dev/sdz"},
                                                       {"ext4", "/usr/sbin/resize2fs /dev/sdz"},
                                                       {"xfs", "/usr/sbin/xfs_growfs -d /t"},
                                                       {"btrfs", "/usr/bin/btrfs filesystem resize max /t"}};
  for (const auto& [type, program] : expected) {
    answers["blkid"].out = "TYPE=" + type + "\n";
    EXPECT_THAT(grow(), ElementsAre(kLook, program));
    EXPECT_TRUE(outcome) << type;
  }
  answers["blkid"].out = "TYPE=btrfs\n";
  answers["btrfs"] = {.exit_code = 1, .out = {}, .error = "no space"};
  grow();
  EXPECT_EQ(outcome.error().message(), "resize of device /t failed: exit status 1. btrfs output: no space");
}

TEST_F(FormatTest, WhatIsNoFileSystemDoesNotGrow) {
  answers["blkid"].exit_code = 2;
  EXPECT_THAT(grow(), ElementsAre(kLook));
  EXPECT_TRUE(outcome) << "a disk with nothing on it is formatted as large as it is";
  answers["blkid"] = {.exit_code = 0, .out = "TYPE=vfat\n", .error = {}};
  EXPECT_THAT(grow(), ElementsAre(kLook));
  EXPECT_EQ(outcome.error().message(),
            "ResizeFS.Resize - resize of format vfat is not supported for device /dev/sdz mounted at /t");
}

}  // namespace
}  // namespace keelson::storage
