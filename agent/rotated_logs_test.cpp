// SPDX-License-Identifier: Apache-2.0
// The files of one log, on a disk.
#include "agent/rotated_logs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>

#include "common/fd.h"

namespace keelson::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class RotatedLogs : public ::testing::Test {
 protected:
  RotatedLogs() {
    char path[] = "/tmp/keelson-log-XXXXXX";
    dir = ::mkdtemp(path);
    log = dir + "/0.log";
  }
  ~RotatedLogs() override { fs::remove_all(dir); }

  void write(const std::string& end, const std::string& text = "x\n") const { std::ofstream(log + end) << text; }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(dir)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }
  static std::string unzipped(const std::string& path) {
    std::string text(1 << 20, '\0');
    gzFile file = ::gzopen(path.c_str(), "rb");
    const int size = ::gzread(file, text.data(), static_cast<unsigned>(text.size()));
    ::gzclose(file);
    text.resize(static_cast<size_t>(std::max(size, 0)));
    return text;
  }

  std::string dir, log;
};

TEST_F(RotatedLogs, KeepWhatMayBeKeptCompressed) {
  write("", "now\n");
  for (const char* end : {".20260101-000000.gz", ".20260102-000000.gz", ".20260103-000000.gz", ".20260104-000000"}) {
    write(end, end);
  }
  std::ofstream(dir + "/1.log.20260104-000000") << "of another";
  ASSERT_TRUE(tidy_rotated_logs(log, 5));
  EXPECT_THAT(files(), UnorderedElementsAre("0.log", "0.log.20260102-000000.gz", "0.log.20260103-000000.gz",
                                            "0.log.20260104-000000.gz", "1.log.20260104-000000"))
      << "with the log's next two names they are five";
  EXPECT_EQ(unzipped(log + ".20260104-000000.gz"), ".20260104-000000");
  ASSERT_TRUE(tidy_rotated_logs(log, 2));
  EXPECT_THAT(files(), UnorderedElementsAre("0.log", "1.log.20260104-000000"));
}

TEST_F(RotatedLogs, WhatAnInterruptedRotationHasLeftGoes) {
  write(".20260101-000000.tmp", "half");
  write(".20260102-000000", "compressed already");
  write(".20260102-000000.gz", "whole");
  ASSERT_TRUE(tidy_rotated_logs(log, 5));
  EXPECT_THAT(files(), ElementsAre("0.log.20260102-000000.gz"));
  EXPECT_EQ(read_file(log + ".20260102-000000.gz").value(), "whole");
}

TEST_F(RotatedLogs, CompressionKeepsEveryByteAndTheMode) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) {
    text += std::to_string(i * 7919) + (i % 10 == 0 ? "\n" : " ");
  }
  write("", text);
  ASSERT_EQ(::chmod(log.c_str(), 0640), 0);
  ASSERT_TRUE(compress_log(log));
  EXPECT_THAT(files(), ElementsAre("0.log.gz"));
  EXPECT_TRUE(unzipped(log + ".gz") == text);
  struct stat status{};
  ASSERT_EQ(::stat((log + ".gz").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640U);
  EXPECT_EQ(compress_log(dir + "/none").error().kind(), Kind::not_found);
  EXPECT_THAT(files(), ElementsAre("0.log.gz"));
}

TEST_F(RotatedLogs, ALogIsMovedAsideAndBackUnlessThereIsANewOne) {
  write("", "old");
  const auto moved = move_log_aside(log, parse_rfc3339("2026-01-31T12:00:00Z").value()).value();
  EXPECT_THAT(moved.substr(log.size()), ::testing::MatchesRegex("\\.202601[0-9][0-9]-[0-9]+")) << moved;
  ASSERT_TRUE(move_log_back(moved, log));
  EXPECT_EQ(read_file(log).value(), "old");
  fs::rename(log, moved);
  write("", "new");
  ASSERT_TRUE(move_log_back(moved, log));
  EXPECT_EQ(read_file(log).value(), "new");
  EXPECT_EQ(read_file(moved).value(), "old");
}

TEST_F(RotatedLogs, ALogGoesWithItsOlderFilesAndNoOther) {
  write("");
  write(".20260101-000000.gz");
  write(".20260102-000000");
  std::ofstream(dir + "/10.log") << "of another";
  ASSERT_TRUE(remove_logs(log));
  EXPECT_THAT(files(), ElementsAre("10.log"));
  EXPECT_TRUE(remove_logs(log));
}

}  // namespace
}  // namespace keelson::agent
