// SPDX-License-Identifier: Apache-2.0
#include "cri/shim/log_writer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace keelson::cri::shim {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kTime = 1'700'000'000'000'000'005;
const std::string kStamp = "2023-11-14T22:13:20.000000005Z";

class LogWriterTest : public ::testing::Test {
 protected:
  LogWriterTest() {
    std::string pattern = ::testing::TempDir() + "keelson-log-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
    path_ = dir_ + "/pod/0.log";
  }
  ~LogWriterTest() override { fs::remove_all(dir_); }
  std::string text(const std::string& path) {
    std::ifstream in(path);
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
  }
  std::string dir_;
  std::string path_;
};

TEST_F(LogWriterTest, WholeLinesAcrossWritesAndStreams) {
  LogWriter log(path_, 0, 5);
  ASSERT_TRUE(log.open());
  ASSERT_TRUE(log.write(Stream::out, "one\ntw", kTime));
  ASSERT_TRUE(log.write(Stream::error, "oops\n", kTime));
  ASSERT_TRUE(log.write(Stream::out, "o\n\nrest", kTime));
  EXPECT_EQ(text(path_), kStamp + " stdout F one\n" + kStamp + " stderr F oops\n" + kStamp + " stdout F two\n" +
                             kStamp + " stdout F \n");
  ASSERT_TRUE(log.finish(Stream::out, kTime));
  EXPECT_TRUE(text(path_).ends_with(kStamp + " stdout P rest\n"));
}

TEST_F(LogWriterTest, LongLinesAreCutInto16KiB) {
  LogWriter log(path_, 0, 5);
  ASSERT_TRUE(log.open());
  ASSERT_TRUE(log.write(Stream::out, std::string(16384 + 10, 'x') + "\n", kTime));
  EXPECT_EQ(text(path_), kStamp + " stdout P " + std::string(16384, 'x') + "\n" + kStamp + " stdout F xxxxxxxxxx\n");
}

TEST_F(LogWriterTest, RotatesOnSizeWithoutLosingALine) {
  constexpr uint64_t kMax = 1000;
  LogWriter log(path_, kMax, 4);
  ASSERT_TRUE(log.open());
  for (int i = 0; i < 75; ++i) {
    ASSERT_TRUE(log.write(Stream::out, "line " + std::to_string(i) + "\n", kTime + int64_t{i} * 1'000'000'000));
  }
  std::set<std::string> files;
  std::string all;
  for (const auto& entry : fs::directory_iterator(dir_ + "/pod")) {
    EXPECT_LE(entry.file_size(), kMax);
    files.insert(entry.path().filename().string());
  }
  EXPECT_EQ(files.size(), 4U);
  // The plain name sorts first but is the newest.
  for (auto it = std::next(files.begin()); it != files.end(); ++it) {
    all += text(dir_ + "/pod/" + *it);
  }
  all += text(path_);
  std::istringstream in(all);
  int last = -1;
  for (std::string line; std::getline(in, line);) {
    int number = std::stoi(line.substr(line.rfind(' ') + 1));
    if (last >= 0) {
      EXPECT_EQ(number, last + 1);
    }
    last = number;
  }
  EXPECT_EQ(last, 74);
}

TEST_F(LogWriterTest, ReopenFollowsTheName) {
  LogWriter log(path_, 0, 5);
  ASSERT_TRUE(log.open());
  ASSERT_TRUE(log.write(Stream::out, "a\n", kTime));
  fs::rename(path_, path_ + ".1");
  ASSERT_TRUE(log.write(Stream::out, "b\n", kTime));
  ASSERT_TRUE(log.reopen());
  ASSERT_TRUE(log.write(Stream::out, "c\n", kTime));
  EXPECT_TRUE(text(path_ + ".1").ends_with(" b\n"));
  EXPECT_TRUE(text(path_).ends_with(" c\n"));
}

}  // namespace
}  // namespace keelson::cri::shim
