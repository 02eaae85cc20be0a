// SPDX-License-Identifier: Apache-2.0
// Pulls wait for each other, are refused, or shared.
#include "agent/pull_gate.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "common/task_group.h"

namespace keelson::agent {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsSupersetOf;
using ::testing::UnorderedElementsAre;

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

/// Pulls that share: "<key>: <whose pull it was> after <waited>" is logged for each who asks.
class SharedPullsTest : public PullGateTest {
 protected:
  static constexpr std::chrono::seconds kTakes{10};

  Task<PulledImage> work(std::string name) {
    begun_.push_back(name);
    KEELSON_CO_DO(co_await loop_.sleep(kTakes));
    if (fails_) {
      co_return fail(Kind::unavailable, "no registry for {}", name);
    }
    co_return PulledImage{.ref = name};
  }
  Task<> ask(PullGate* gate, std::string key, std::string name) {
    auto pulled = co_await gate->pull(key, [&] { return work(name); });
    log_.push_back(pulled ? fmt::format("{}: {} after {}", name, pulled->ref, pulled->waited / kTakes)
                          : fmt::format("{}: {}", name, pulled.error().message()));
    co_return Result<>();
  }
  void start_shared(PullGate& gate, TaskGroup& tasks, const std::string& key, const std::string& name) {
    tasks.spawn(name, ask(&gate, key, name));
    loop_.run_until_idle();
  }

  bool fails_ = false;
  std::vector<std::string> begun_;  // who has really pulled
};

TEST_F(SharedPullsTest, WhoAsksForTheSameMeanwhileGetsTheAnswerOfTheFirst) {
  PullGate gate(loop_, {});
  start_shared(gate, tasks_, "x", "a");
  start_shared(gate, tasks_, "x", "b");
  start_shared(gate, tasks_, "y", "c");
  pass(kTakes);
  EXPECT_THAT(begun_, ElementsAre("a", "c"));
  EXPECT_THAT(log_, UnorderedElementsAre("a: a after 0", "b: a after 0", "c: c after 0"));
  start_shared(gate, tasks_, "x", "d");
  EXPECT_THAT(begun_, ElementsAre("a", "c", "d")) << "that one has ended: a tag may have moved";
  pass(kTakes);
}

TEST_F(SharedPullsTest, OneAtATimeStillAndASharedPullTakesOneTurn) {
  PullGate gate(loop_, {.at_once = 1});
  start_shared(gate, tasks_, "x", "a");
  start_shared(gate, tasks_, "y", "b");
  start_shared(gate, tasks_, "z", "c");
  start_shared(gate, tasks_, "y", "d");
  EXPECT_THAT(begun_, ElementsAre("a"));
  pass(kTakes);
  EXPECT_THAT(begun_, ElementsAre("a", "b"));
  pass(kTakes);
  EXPECT_THAT(begun_, ElementsAre("a", "b", "c"));
  pass(kTakes);
  EXPECT_THAT(log_, UnorderedElementsAre("a: a after 0", "b: b after 1", "d: b after 1", "c: c after 2"));
}

TEST_F(SharedPullsTest, AFailureIsSharedToo) {
  fails_ = true;
  PullGate gate(loop_, {});
  start_shared(gate, tasks_, "x", "a");
  start_shared(gate, tasks_, "x", "b");
  pass(kTakes);
  EXPECT_THAT(begun_, ElementsAre("a"));
  EXPECT_THAT(log_, UnorderedElementsAre("a: no registry for a", "b: no registry for a"));
}

TEST_F(SharedPullsTest, WhenTheFirstGivesUpAnotherPulls) {
  PullGate gate(loop_, {.at_once = 1});
  TaskGroup first(loop_);
  start_shared(gate, first, "x", "a");
  start_shared(gate, tasks_, "x", "b");
  start_shared(gate, tasks_, "x", "c");
  first.cancel();
  loop_.run_until_idle();
  EXPECT_THAT(begun_, ElementsAre("a", "b"));
  pass(kTakes);
  EXPECT_THAT(begun_, ElementsAre("a", "b"));
  EXPECT_THAT(log_, IsSupersetOf({"b: b after 0", "c: b after 0"}));
}

TEST_F(SharedPullsTest, WhoGivesUpWaitingHoldsNobodyUp) {
  PullGate gate(loop_, {});
  start_shared(gate, tasks_, "x", "a");
  TaskGroup others(loop_);
  start_shared(gate, others, "x", "b");
  others.cancel();
  loop_.run_until_idle();
  EXPECT_EQ(others.count(), 0U);
  pass(kTakes);
  EXPECT_THAT(begun_, ElementsAre("a"));
  EXPECT_THAT(log_, Contains("a: a after 0"));
}

}  // namespace
}  // namespace keelson::agent
