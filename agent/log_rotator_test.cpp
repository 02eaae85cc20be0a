// SPDX-License-Identifier: Apache-2.0
// Which logs are rotated, on a runtime that writes none.
#include "agent/log_rotator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "agent/fake_runtime_client.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/task_group.h"

namespace keelson::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::SizeIs;

class Runtime : public FakeRuntimeClient {
 public:
  Task<std::vector<cri::ContainerStatus>> list_containers(cri::ListFilter, Duration) override {
    std::vector<cri::ContainerStatus> list;
    for (auto status : containers) {
      status.log_path = "";  // as CRI has it: the path is in the status alone
      list.push_back(status);
    }
    co_return list;
  }
  Task<cri::ContainerStatus> container_status(std::string id, Duration) override {
    ++asked;
    for (const auto& status : containers) {
      if (status.id == id) {
        co_return status;
      }
    }
    co_return fail(Kind::not_found, "no container {}", id);
  }
  Task<> reopen_container_log(std::string id, Duration) override {
    if (broken) {
      co_return fail(Kind::internal, "reopen: no");
    }
    reopened.push_back(id);
    for (const auto& status : containers) {
      if (status.id == id) {
        std::ofstream(status.log_path, std::ios::app) << "";
      }
    }
    co_return Result<>();
  }

  std::vector<cri::ContainerStatus> containers;
  std::vector<std::string> reopened;
  bool broken = false;
  int asked = 0;
};

class LogRotatorTest : public ::testing::Test {
 protected:
  LogRotatorTest() {
    log::set_level(log::Level::off);
    char path[] = "/tmp/keelson-logs-XXXXXX";
    dir = ::mkdtemp(path);
  }
  ~LogRotatorTest() override { fs::remove_all(dir); }

  std::string add(const std::string& id, size_t size, cri::ContainerState state = cri::ContainerState::running) {
    auto& status = runtime.containers.emplace_back();
    status.id = id;
    status.state = state;
    status.log_path = fmt::format("{}/{}/0.log", dir, id);
    fs::create_directories(dir + "/" + id);
    std::ofstream(status.log_path) << std::string(size, 'x');
    return status.log_path;
  }
  std::vector<std::string> files(const std::string& id) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(dir + "/" + id)) {
      names.push_back(entry.path().filename());
    }
    std::ranges::sort(names);
    return names;
  }
  static Task<> keep(LogRotator* rotator, Result<>* looked) {
    *looked = co_await rotator->look();
    co_return Result<>();
  }
  Result<> look(LogRotator& rotator) {
    Result<> looked;
    TaskGroup group(loop);
    group.spawn("look", keep(&rotator, &looked));
    while (group.count() > 0) {
      loop.run_until_idle();  // the disk is on a thread
      std::this_thread::yield();
    }
    return looked;
  }

  std::string dir;
  Loop loop{real_clock(), "test"};
  Runtime runtime;
};

TEST_F(LogRotatorTest, TheLargeLogsOfWhatRunsAreRotated) {
  const auto large = add("large", 1000);
  add("small", 999);
  add("dead", 5000, cri::ContainerState::exited);
  LogRotator rotator(loop, runtime, {.max_bytes = 1000, .workers = 3});
  ASSERT_TRUE(look(rotator));
  EXPECT_THAT(runtime.reopened, ElementsAre("large"));
  ASSERT_THAT(files("large"), SizeIs(2));
  EXPECT_EQ(fs::file_size(large), 0U);
  EXPECT_EQ(fs::file_size(dir + "/large/" + files("large")[1]), 1000U);
  EXPECT_THAT(files("small"), ElementsAre("0.log"));
  EXPECT_THAT(files("dead"), ElementsAre("0.log"));
  ASSERT_TRUE(look(rotator));
  EXPECT_EQ(runtime.asked, 2) << "a path is asked for once";
}

TEST_F(LogRotatorTest, ALogThatIsNotOpenedAnewHasItsNameAgain) {
  add("one", 1000);
  runtime.broken = true;
  LogRotator rotator(loop, runtime, {.max_bytes = 1000});
  EXPECT_TRUE(look(rotator)) << "one log's trouble is its own";
  EXPECT_THAT(files("one"), ElementsAre("0.log"));
  runtime.broken = false;
  ASSERT_TRUE(look(rotator));
  EXPECT_THAT(files("one"), SizeIs(2));
}

TEST_F(LogRotatorTest, ALogThatIsGoneIsMadeAnew) {
  fs::remove(add("one", 10));
  LogRotator rotator(loop, runtime, {.max_bytes = 1000});
  ASSERT_TRUE(look(rotator));
  EXPECT_THAT(runtime.reopened, ElementsAre("one"));
  EXPECT_THAT(files("one"), ElementsAre("0.log"));
}

TEST_F(LogRotatorTest, ARuntimeThatIsAwayIsAnError) {
  FakeRuntimeClient away;
  LogRotator rotator(loop, away, {});
  EXPECT_FALSE(look(rotator));
}

}  // namespace
}  // namespace keelson::agent
