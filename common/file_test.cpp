// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "common/atomic_file.h"
#include "common/fd.h"
#include "common/tree_use.h"

namespace keelson {
namespace {

class FileTest : public ::testing::Test {
 protected:
  FileTest() {
    std::string pattern = ::testing::TempDir() + "keelson-file-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
  }
  ~FileTest() override { std::filesystem::remove_all(dir_); }
  std::string dir_;
};

TEST_F(FileTest, AtomicWriteReplacesAndLeavesNoTemporary) {
  ASSERT_TRUE(write_file_atomic(dir_ + "/a", "one"));
  ASSERT_TRUE(write_file_atomic(dir_ + "/a", "two", 0600, Durability::power));
  EXPECT_EQ(*read_file(dir_ + "/a"), "two");
  struct stat info{};
  ASSERT_EQ(::stat((dir_ + "/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_), {}), 1);
}

TEST_F(FileTest, AtomicWriteIsNotStoppedByWhatAKilledOneLeft) {
  // Whatever number is next, a file of that name is there already.
  for (int i = 0; i < 100; ++i) {
    auto name = dir_ + "/.a." + std::to_string(::getpid()) + "." + std::to_string(i);
    ASSERT_TRUE(open_file(name, O_WRONLY | O_CREAT, 0600));
  }
  ASSERT_TRUE(write_file_atomic(dir_ + "/a", "one"));
  EXPECT_EQ(*read_file(dir_ + "/a"), "one");
}

TEST_F(FileTest, WhatKilledWritersLeftIsRemoved) {
  const auto dead = ::fork();
  if (dead == 0) {
    ::_exit(0);
  }
  ::waitpid(dead, nullptr, 0);
  const auto theirs = fmt::format("{}/.result-1.json.{}.3", dir_, dead);
  const auto ours = fmt::format("{}/.result-1.json.{}.3", dir_, ::getpid());
  for (const auto& path : {theirs, ours, dir_ + "/result-1.json", dir_ + "/.hidden", dir_ + "/.a.b"}) {
    ASSERT_TRUE(open_file(path, O_WRONLY | O_CREAT, 0600));
  }
  remove_unfinished(dir_);
  EXPECT_FALSE(std::filesystem::exists(theirs));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_), {}), 4);
  remove_unfinished(dir_ + "/none");
}

TEST_F(FileTest, AtomicWriteKeepsTheOldFileOnError) {
  ASSERT_TRUE(make_directories(dir_ + "/d"));
  auto result = write_file_atomic(dir_ + "/d", "x");
  ASSERT_FALSE(result);
  EXPECT_TRUE(std::filesystem::is_directory(dir_ + "/d"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_), {}), 1);
}

TEST_F(FileTest, ReadStopsAtTheLimit) {
  ASSERT_TRUE(write_file_atomic(dir_ + "/a", std::string(100, 'x')));
  EXPECT_EQ(read_file(dir_ + "/a", 99).error().kind(), Kind::exhausted);
  EXPECT_EQ(read_file(dir_ + "/a", 100)->size(), 100U);
  EXPECT_EQ(read_file(dir_ + "/none").error().kind(), Kind::not_found);
}

TEST_F(FileTest, RemoveTreeDoesNotFollowLinks) {
  ASSERT_TRUE(make_directories(dir_ + "/tree/a/b"));
  ASSERT_TRUE(write_file_atomic(dir_ + "/kept", "x"));
  std::filesystem::create_symlink(dir_ + "/kept", dir_ + "/tree/link");
  std::filesystem::create_directory_symlink(dir_, dir_ + "/tree/up");
  ASSERT_TRUE(remove_tree(dir_ + "/tree"));
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/tree"));
  EXPECT_EQ(*read_file(dir_ + "/kept"), "x");
  EXPECT_TRUE(remove_tree(dir_ + "/tree"));
}

// Deeper than the stack and the descriptors that the tests leave would go.
class DeepTreeTest : public FileTest {
 protected:
  static constexpr int kDeep = 5'000;

  DeepTreeTest() {
    EXPECT_TRUE(make_directories(dir_ + "/tree/beside/it"));
    EXPECT_TRUE(write_file_atomic(dir_ + "/tree/.lifted-0", "a name that is taken"));
    auto here = open_file(dir_ + "/tree", O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < kDeep && here; ++i) {
      EXPECT_EQ(::mkdirat(here->get(), "d", 0755), 0);
      here = Fd(::openat(here->get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    EXPECT_TRUE(here && *here);
  }
  ~DeepTreeTest() override { EXPECT_TRUE(remove_tree(dir_)); }  // the base's way is recursive
};

TEST_F(DeepTreeTest, IsRemovedWithFewDescriptors) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{.rlim_cur = 256, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const auto removed = remove_tree(dir_ + "/tree");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(removed) << removed.error().message().substr(0, 200);
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/tree"));
}

TEST_F(DeepTreeTest, IsMeasuredAsFarAsItIsHarmless) {
  struct Measured {
    std::string path;
    TreeUse use;
  } measured{.path = dir_ + "/tree", .use = {}};
  pthread_attr_t small;
  ::pthread_attr_init(&small);
  ASSERT_EQ(::pthread_attr_setstacksize(&small, 1 << 20), 0);
  pthread_t thread{};
  const auto measure = [](void* given) -> void* {
    auto& in = *static_cast<Measured*>(given);
    in.use = use_of_tree(in.path);
    return nullptr;
  };
  ASSERT_EQ(::pthread_create(&thread, &small, measure, &measured), 0);
  ::pthread_join(thread, nullptr);
  ::pthread_attr_destroy(&small);
  EXPECT_EQ(measured.use.inodes, 1U + 3U + 1024U);  // itself, what is beside, and the folders at 1024 levels
  EXPECT_EQ(use_of_tree(dir_ + "/none").inodes, 0U);
}

TEST_F(FileTest, OpenInRootStaysInside) {
  ASSERT_TRUE(make_directories(dir_ + "/root"));
  ASSERT_TRUE(write_file_atomic(dir_ + "/secret", "outside"));
  std::filesystem::create_symlink("../secret", dir_ + "/root/link");
  auto root = open_file(dir_ + "/root", O_PATH | O_DIRECTORY);
  ASSERT_TRUE(root);
  EXPECT_EQ(open_in_root(root->get(), "link", O_RDONLY).error().kind(), Kind::not_found);
  EXPECT_EQ(open_in_root(root->get(), "../../secret", O_RDONLY).error().kind(), Kind::not_found);
}

}  // namespace
}  // namespace keelson
