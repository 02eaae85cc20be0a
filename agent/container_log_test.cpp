// SPDX-License-Identifier: Apache-2.0
// Following logs: growth, rotation, removal and the end, each by an event.
#include "agent/container_log.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "common/task_group.h"

namespace keelson::agent {
namespace {

namespace fs = std::filesystem;

class FollowLog : public ::testing::Test {
 protected:
  FollowLog() {
    char path[] = "/tmp/keelson-log-XXXXXX";
    dir = ::mkdtemp(path);
    log = dir + "/0.log";
    group.spawn("watch logs", LogWatcher::run(watcher));
  }
  ~FollowLog() override {
    group.cancel();
    loop.run_until_idle();
    fs::remove_all(dir);
  }

  struct Follower {
    std::string shown;
    int looks = 0;
    bool ended = false;  // what it is told
    bool done = false;
  };
  static Task<> run(LogFollow what, Follower* follower) {
    KEELSON_CO_DO(co_await follow_log(std::move(what)));
    follower->done = true;
    co_return Result<>();
  }
  static Task<bool> look(Follower* follower) {
    ++follower->looks;
    co_return follower->ended;
  }
  static Task<> show(Follower* follower, std::string text) {
    follower->shown += text;
    co_return Result<>();
  }
  void follow(Follower& follower, LogOptions options = {}) {
    LogFollow what{.path = log, .options = std::move(options), .ended = {}, .sink = {}, .watch = *watcher->watch(log)};
    what.ended = [&follower] { return look(&follower); };
    what.sink = [&follower](std::string text) { return show(&follower, std::move(text)); };
    group.spawn("follow", run(std::move(what), &follower));
    loop.run_until_idle();
  }
  void append(std::ofstream& file, const std::string& text) {
    file << "2023-11-14T22:13:20.000000000Z stdout F " << text << std::endl;
    loop.run_until_idle();
  }
  void append(const std::string& text) {
    std::ofstream file(log, std::ios::app);
    append(file, text);
  }

  std::string dir, log;
  FakeClock clock;
  Loop loop{clock, "test"};
  std::shared_ptr<LogWatcher> watcher = *LogWatcher::open(loop);
  TaskGroup group{loop};
};

TEST_F(FollowLog, ALineComesAtOnceAndSilenceCostsNothing) {
  Follower follower;
  follow(follower);  // before the file is there
  append("one");
  EXPECT_EQ(follower.shown, "one\n");
  append("two");
  EXPECT_EQ(follower.shown, "one\ntwo\n");
  const auto looks = follower.looks;
  loop.advance(clock, std::chrono::hours(1));
  EXPECT_EQ(follower.looks, looks);
}

TEST_F(FollowLog, RotationLosesNothing) {
  std::ofstream writer(log);
  Follower follower;
  follow(follower);
  append(writer, "one");
  fs::rename(log, log + ".1");
  append(writer, "two, by a writer that has not noticed");
  EXPECT_EQ(follower.shown, "one\ntwo, by a writer that has not noticed\n");
  writer << "2023-11-14T22:13:20.000000000Z stdout F three\n" << std::flush;
  writer = std::ofstream(log);
  append(writer, "four");
  EXPECT_EQ(follower.shown, "one\ntwo, by a writer that has not noticed\nthree\nfour\n");
  append(writer, "five");
  EXPECT_TRUE(follower.shown.ends_with("four\nfive\n"));
}

TEST_F(FollowLog, ARemovedFileIsReadToItsEndAndTheNextTaken) {
  std::ofstream writer(log);
  Follower follower;
  follow(follower);
  append(writer, "one");
  fs::remove(log);
  append(writer, "two");
  EXPECT_EQ(follower.shown, "one\ntwo\n");
  append("three");
  EXPECT_EQ(follower.shown, "one\ntwo\nthree\n");
  EXPECT_FALSE(follower.done);
}

TEST_F(FollowLog, EndsWhenPokedWithAllShownAndLeavesNoWatch) {
  Follower first, second;
  follow(first);
  follow(second);
  EXPECT_EQ(watcher->folders(), 1U);
  append("one");
  first.ended = true;
  watcher->poke_all();
  loop.run_until_idle();
  EXPECT_TRUE(first.done);
  EXPECT_FALSE(second.done);
  append("two");
  EXPECT_EQ(first.shown, "one\n");
  EXPECT_EQ(second.shown, "one\ntwo\n");
  second.ended = true;
  fs::remove_all(dir);
  loop.run_until_idle();
  EXPECT_TRUE(second.done) << "a folder that goes is an event";
  EXPECT_EQ(watcher->folders(), 0U);
}

TEST_F(FollowLog, BeginsWithTheLastLinesHoweverLargeTheFile) {
  {
    std::ofstream writer(log);
    for (int i = 0; i < 400'000; ++i) {
      writer << "2023-11-14T22:13:20.000000000Z stdout F " << i << '\n';
    }
  }
  Follower follower;
  follow(follower, {.tail_lines = 2});
  EXPECT_EQ(follower.shown, "399998\n399999\n");
  append("more");
  EXPECT_TRUE(follower.shown.ends_with("399999\nmore\n"));
}

TEST_F(FollowLog, AFolderThatIsNotThereIsAnError) {
  EXPECT_EQ(watcher->watch(dir + "/none/0.log").error().kind(), Kind::not_found);
}

class ReadLog : public ::testing::Test {
 protected:
  ReadLog() {
    char path[] = "/tmp/keelson-log-XXXXXX";
    dir = ::mkdtemp(path);
    log = dir + "/0.log";
  }
  ~ReadLog() override { fs::remove_all(dir); }

  std::string shown(LogOptions options) const {
    auto reader = LogReader::open(log, std::move(options)).value();
    std::string text;
    for (bool end = false; !end;) {
      auto piece = reader.next().value();
      EXPECT_LE(piece.text.size(), 3U * 64 << 10) << "a piece, not the file";
      text += piece.text;
      end = piece.end;
    }
    return text + reader.take_rest();
  }

  std::string dir, log;
};

TEST_F(ReadLog, ALogOfAnySizeIsShownFromItsFirstLine) {
  std::string all;
  {
    std::ofstream writer(log);
    for (int i = 0; i < 500'000; ++i) {
      const auto text = std::to_string(i) + '\n';
      writer << "2023-11-14T22:13:20.000000000Z stdout F " << text;
      all += text;
    }
  }
  ASSERT_GT(fs::file_size(log), 16U << 20);
  EXPECT_TRUE(shown({}) == all);
  EXPECT_EQ(shown({.limit_bytes = 3}), "0\n1");
  EXPECT_EQ(shown({.tail_lines = 1}), "499999\n");
  EXPECT_EQ(shown({.tail_lines = 0}), "");
  EXPECT_TRUE(all.ends_with(shown({.tail_lines = 300'000})));
  EXPECT_EQ(std::ranges::count(shown({.tail_lines = 300'000}), '\n'), 300'000);
  EXPECT_TRUE(shown({.tail_lines = 600'000}) == all);
}

TEST_F(ReadLog, ALineWithoutAnEndIsALine) {
  std::ofstream(log) << "2023-11-14T22:13:20.000000000Z stdout F one\n2023-11-14T22:13:20.000000000Z stdout F tw";
  EXPECT_EQ(shown({}), "one\ntw\n");
  EXPECT_EQ(shown({.tail_lines = 1}), "tw\n");
  std::ofstream(log, std::ios::trunc);
  EXPECT_EQ(shown({.tail_lines = 1}), "");
}

TEST_F(ReadLog, TheLastLinesAloneAreReadOfItsEnd) {
  {
    std::ofstream writer(log);
    for (int i = 0; i < 100'000; ++i) {
      writer << "2023-11-14T22:13:20.000000000Z stderr F " << i << '\n';
    }
  }
  EXPECT_EQ(LogReader::last_lines(log, 2).value(), "99998\n99999\n");
  EXPECT_EQ(LogReader::last_lines(dir + "/none", 2).error().kind(), Kind::not_found);
  std::ofstream(log) << std::string(100'000, 'x');
  EXPECT_EQ(LogReader::last_lines(log, 2).value(), std::string(64 << 10, 'x') + '\n') << "one line, cut";
}

TEST(CountLogs, TheGreatestNumberCountsRotationsIncluded) {
  const std::string dir = ::testing::TempDir() + fmt::format("count-logs-{}", ::getpid());
  EXPECT_EQ(count_logs(dir), 0U);
  fs::create_directories(dir + "/9.log");
  EXPECT_EQ(count_logs(dir), 0U);
  for (const auto* name : {"0.log", "3.log.20231114-221320.gz", "2.log", "12.txt", "x.log", "99999999999.log"}) {
    std::ofstream(dir + "/" + name) << "text";
  }
  EXPECT_EQ(count_logs(dir), 4U);
  fs::remove_all(dir);
}

}  // namespace
}  // namespace keelson::agent
