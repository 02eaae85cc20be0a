// SPDX-License-Identifier: Apache-2.0
// A reader beside a writer never sees two versions.
#include "agent/config/atomic_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "common/atomic_file.h"
#include "common/fd.h"

namespace keelson::agent {
namespace {

namespace fs = std::filesystem;

class AtomicFolderTest : public ::testing::Test {
 protected:
  ~AtomicFolderTest() override { fs::remove_all(dir); }
  static std::string make_dir() {
    std::string pattern = ::testing::TempDir() + "keelson-atomic-XXXXXX";
    return ::mkdtemp(pattern.data());
  }
  const std::string dir = make_dir();
};

TEST_F(AtomicFolderTest, AVersionOfAKubeletGoesWithItsNextChange) {
  fs::create_directory(dir + "/..2026_01_02_03_04_05.678901234");
  ASSERT_TRUE(write_file_atomic(dir + "/..2026_01_02_03_04_05.678901234/password", "old", 0600));
  fs::create_symlink("..2026_01_02_03_04_05.678901234", dir + "/..data");
  fs::create_symlink("..data/password", dir + "/password");
  ASSERT_TRUE(write_atomic_folder(dir, {{"password", {.data = "new"}}}, -1));
  EXPECT_EQ(read_file(dir + "/password").value(), "new");
  EXPECT_EQ(std::distance(fs::directory_iterator(dir), fs::directory_iterator()), 3) << "..data, its target, password";
}

TEST_F(AtomicFolderTest, NoFileLeavesIt) {
  const std::string volume = dir + "/volume";
  for (const char* path : {"", "/etc/passwd", "../out", "a/../../out", "a/..", "..data", "..2026"}) {
    const auto written = write_atomic_folder(volume, {{path, {.data = "x"}}}, -1);
    ASSERT_FALSE(written) << path;
    EXPECT_TRUE(written.error().message().starts_with("invalid path: must ")) << written.error().message();
  }
  EXPECT_TRUE(fs::is_empty(dir));
  EXPECT_TRUE(write_atomic_folder(volume, {{"a..b/c...", {.data = "x"}}}, -1));
}

TEST_F(AtomicFolderTest, AReaderSeesOneVersion) {
  auto version = [](int i) {
    return VolumeFiles{{"a", {.data = std::to_string(i)}}, {"sub/b", {.data = std::to_string(i)}}};
  };
  ASSERT_TRUE(write_atomic_folder(dir, version(0), -1));
  std::atomic<bool> end = false;
  std::atomic<int> seen = 0;
  std::atomic<int> mixed = 0;
  std::thread reader([&] {
    while (!end) {
      // One look at ..data, as readers of more than one file do.
      auto data = open_file(dir + "/..data", O_PATH | O_DIRECTORY);
      if (!data) {
        continue;  // where the link led had gone before it was followed
      }
      auto a = read_file(fmt::format("/proc/self/fd/{}/a", data->get()));
      auto b = read_file(fmt::format("/proc/self/fd/{}/sub/b", data->get()));
      // The whole version may be gone by then, never changed.
      if (a && b) {
        ++seen;
        mixed += *a == *b ? 0 : 1;
      }
    }
  });
  for (int i = 1; i < 50 || seen == 0; ++i) {
    EXPECT_TRUE(write_atomic_folder(dir, version(i), -1));
  }
  end = true;
  reader.join();
  EXPECT_EQ(mixed, 0);
}

TEST_F(AtomicFolderTest, NamesComeAndGo) {
  ASSERT_TRUE(write_atomic_folder(dir, {{"a", {.data = "1"}}, {"b/c", {.data = "2", .mode = 0400}}}, -1));
  EXPECT_EQ(read_file(dir + "/b/c").value(), "2");
  auto first = fs::read_symlink(dir + "/..data");
  ASSERT_TRUE(write_atomic_folder(dir, {{"a", {.data = "1"}}, {"b/c", {.data = "2", .mode = 0400}}}, -1));
  EXPECT_EQ(fs::read_symlink(dir + "/..data"), first);
  ASSERT_TRUE(write_atomic_folder(dir, {{"d", {.data = "3"}}}, -1));
  EXPECT_EQ(read_file(dir + "/d").value(), "3");
  EXPECT_FALSE(fs::is_symlink(dir + "/a"));
  EXPECT_FALSE(fs::is_symlink(dir + "/b"));
  EXPECT_FALSE(fs::exists(fs::path(dir) / first));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir), {}), 3);
}

TEST_F(AtomicFolderTest, AModeAloneIsAChange) {
  ASSERT_TRUE(write_atomic_folder(dir, {{"a", {.data = "1", .mode = 0644}}}, -1));
  ASSERT_TRUE(write_atomic_folder(dir, {{"a", {.data = "1", .mode = 0400}}}, -1));
  struct stat info{};
  ASSERT_EQ(::stat((dir + "/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0400U);
}

}  // namespace
}  // namespace keelson::agent
