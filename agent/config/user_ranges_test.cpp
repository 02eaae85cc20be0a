// SPDX-License-Identifier: Apache-2.0
#include "agent/config/user_ranges.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "common/fd.h"

namespace keelson::agent {
namespace {

namespace fs = std::filesystem;

class UserRangesTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/keelson-ranges-XXXXXX";
    root_ = ::mkdtemp(name);
    for (const char* pod : {"a", "b", "c"}) {
      fs::create_directories(root_ + "/pods/" + pod);
    }
  }
  void TearDown() override { fs::remove_all(root_); }
  std::string root_;
};

TEST_F(UserRangesTest, NoTwoPodsShareAnId) {
  UserRanges ranges(root_);
  EXPECT_EQ(*ranges.acquire("a"), 65536U);
  EXPECT_EQ(*ranges.acquire("b"), 131072U);
  EXPECT_EQ(*ranges.acquire("a"), 65536U);
  EXPECT_EQ(ranges.of("b"), 131072U);
  EXPECT_EQ(ranges.of("c"), std::nullopt);
  EXPECT_EQ(*read_file(root_ + "/pods/a/userns"),
            R"({"uidMappings":[{"hostId":65536,"containerId":0,"length":65536}],)"
            R"("gidMappings":[{"hostId":65536,"containerId":0,"length":65536}]})");
}

TEST_F(UserRangesTest, ARangeMayBeLonger) {
  UserRanges ranges(root_, 131072);
  EXPECT_EQ(*ranges.acquire("a"), 131072U);
  EXPECT_EQ(*ranges.acquire("b"), 262144U);
  EXPECT_EQ(UserRanges(root_, 131072).of("b"), 262144U);
  UserRanges other(root_);
  EXPECT_EQ(other.of("a"), std::nullopt);
  EXPECT_EQ(other.acquire("a").error().message(),
            root_ + "/pods/a/userns: not one range of 65536 user and group ids; the pod has to be deleted");
}

TEST_F(UserRangesTest, TheyOutliveTheAgentAndEndWithThePod) {
  {
    UserRanges ranges(root_);
    ASSERT_TRUE(ranges.acquire("a"));
    ASSERT_TRUE(ranges.acquire("b"));
  }
  UserRanges ranges(root_);
  EXPECT_EQ(*ranges.acquire("c"), 196608U);
  EXPECT_EQ(ranges.of("a"), 65536U);
  fs::remove_all(root_ + "/pods/a");
  ranges.release("a");
  fs::create_directories(root_ + "/pods/d");
  EXPECT_EQ(*ranges.acquire("d"), 65536U) << "free again";
}

TEST_F(UserRangesTest, AFileThatIsNotOursIsNamed) {
  for (const char* text : {"", "{", R"({"uidMappings":[{"hostId":0,"containerId":0,"length":65536}]})",
                           R"({"uidMappings":[{"hostId":65536,"containerId":0,"length":65536}]})"}) {
    std::ofstream(root_ + "/pods/a/userns") << text;
    UserRanges ranges(root_);
    const auto range = ranges.acquire("a");
    ASSERT_FALSE(range) << text;
    EXPECT_EQ(range.error().kind(), Kind::invalid);
    EXPECT_THAT(range.error().message(), testing::HasSubstr("/pods/a/userns"));
  }
}

}  // namespace
}  // namespace keelson::agent
