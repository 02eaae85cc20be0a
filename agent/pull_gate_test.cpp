// SPDX-License-Identifier: Apache-2.0
// Pulls wait for each other, or are refused.
#include "agent/pull_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "common/task_group.h"

namespace keelson::agent {
namespace {

using ::testing::ElementsAre;

class PullGateTest : public ::testing::Test {
 protected:
  Task<> pull(PullGate* gate, std::string name, Duration takes) {
    auto place = co_await gate->enter();
    if (!place) {
      log_.push_back(name + ": " + place.error().message());
      co_return Result<>();
    }
    log_.push_back(name);
    waited_[name] = place->waited();
    KEELSON_CO_DO(co_await loop_.sleep(takes));
    co_return Result<>();
  }
  void start(PullGate& gate, const std::string& name) {
    tasks_.spawn(name, pull(&gate, name, std::chrono::seconds(10)));
    loop_.run_until_idle();
  }
  void pass(std::chrono::seconds time) { loop_.advance(clock_, time); }

  FakeClock clock_;
  Loop loop_{clock_, "test"};
  std::vector<std::string> log_;
  std::map<std::string, Duration> waited_;
  TaskGroup tasks_{loop_};
};

TEST_F(PullGateTest, SoManyAtOnceAndOthersInTheirOrder) {
  PullGate gate(loop_, {.at_once = 2});
  for (const char* name : {"a", "b", "c", "d"}) {
    start(gate, name);
  }
  EXPECT_THAT(log_, ElementsAre("a", "b"));
  pass(std::chrono::seconds(10));
  EXPECT_THAT(log_, ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(waited_["b"], Duration(0));
  EXPECT_EQ(waited_["c"], std::chrono::seconds(10));
  pass(std::chrono::seconds(11));
  start(gate, "e");
  EXPECT_EQ(log_.back(), "e") << "all places are free again";
  pass(std::chrono::seconds(11));
}

TEST_F(PullGateTest, WithoutALimitNobodyWaits) {
  PullGate gate(loop_, {});
  for (const char* name : {"a", "b", "c"}) {
    start(gate, name);
  }
  EXPECT_THAT(log_, ElementsAre("a", "b", "c"));
  pass(std::chrono::seconds(11));
}

TEST_F(PullGateTest, TooManyASecondAreRefusedAndLeaveTheirPlace) {
  PullGate gate(loop_, {.at_once = 3, .begins = {.per_second = 1, .burst = 2}});
  for (const char* name : {"a", "b", "c", "d"}) {
    start(gate, name);
  }
  EXPECT_THAT(log_, ElementsAre("a", "b", "c: pull QPS exceeded", "d: pull QPS exceeded"));
  log_.clear();
  pass(std::chrono::seconds(1));
  start(gate, "e");
  EXPECT_THAT(log_, ElementsAre("e"));
  pass(std::chrono::seconds(11));
}

TEST_F(PullGateTest, WhoIsCancelledGivesUpItsTurn) {
  PullGate gate(loop_, {.at_once = 1});
  start(gate, "a");
  {
    TaskGroup others(loop_);
    others.spawn("b", pull(&gate, "b", std::chrono::seconds(1)));
    loop_.run_until_idle();
    tasks_.spawn("end", others.close());
    loop_.run_until_idle();
  }
  start(gate, "c");
  log_.clear();
  pass(std::chrono::seconds(11));
  EXPECT_THAT(log_, ElementsAre("c"));
  pass(std::chrono::seconds(11));
}

}  // namespace
}  // namespace keelson::agent
