// SPDX-License-Identifier: Apache-2.0
#include "cri/shim/user_lookup.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "common/atomic_file.h"
#include "common/fd.h"

namespace keelson::cri::shim {
namespace {

class UserLookupTest : public ::testing::Test {
 protected:
  UserLookupTest() {
    std::string pattern = ::testing::TempDir() + "keelson-user-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    EXPECT_TRUE(make_directories(root_ + "/etc"));
    EXPECT_TRUE(write_file_atomic(root_ + "/etc/passwd",
                                  "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/var/www:/bin/sh\nbroken\n"));
    EXPECT_TRUE(write_file_atomic(root_ + "/etc/group", "root:x:0:\nweb:x:34:\nlogs:x:50:web,other\ncdrom:x:60:web\n"));
  }
  ~UserLookupTest() override { std::filesystem::remove_all(root_); }
  std::string root_;
};

TEST_F(UserLookupTest, NamesNumbersAndGroups) {
  struct Case {
    const char* user;
    uid_t uid;
    gid_t gid;
    const char* home;
    std::vector<gid_t> groups;
  };
  const Case cases[] = {
      {"", 0, 0, "/root", {}},
      {"root", 0, 0, "/root", {}},
      {"web", 33, 34, "/var/www", {50, 60}},
      {"33", 33, 34, "/var/www", {50, 60}},
      {"web:logs", 33, 50, "/var/www", {50, 60}},
      {"1000", 1000, 0, "/", {}},
      {"1000:2000", 1000, 2000, "/", {}},
      {"33:0", 33, 0, "/var/www", {50, 60}},
  };
  for (const auto& c : cases) {
    auto user = find_user(root_, c.user);
    ASSERT_TRUE(user) << c.user << ": " << user.error().message();
    EXPECT_EQ(user->uid, c.uid) << c.user;
    EXPECT_EQ(user->gid, c.gid) << c.user;
    EXPECT_EQ(user->home, c.home) << c.user;
    EXPECT_EQ(user->groups, c.groups) << c.user;
  }
}

TEST_F(UserLookupTest, MissingNamesAreErrors) {
  EXPECT_EQ(find_user(root_, "nobody").error().message(), "user nobody is not in the container's /etc/passwd");
  EXPECT_EQ(find_user(root_, "web:none").error().message(), "group none is not in the container's /etc/group");
  EXPECT_EQ(find_user(root_ + "/absent", "web").error().kind(), Kind::not_found);
  EXPECT_EQ(find_user(root_ + "/absent", "7:8")->gid, 8U);
}

// An image may have anything there; nobody waits for the other end of a pipe.
TEST_F(UserLookupTest, OnlyFilesAreRead) {
  std::filesystem::remove(root_ + "/etc/passwd");
  ASSERT_EQ(::mkfifo((root_ + "/etc/passwd").c_str(), 0644), 0);
  EXPECT_EQ(find_user(root_, "web").error().message(), root_ + "/etc/passwd is no regular file");
}

}  // namespace
}  // namespace keelson::cri::shim
