// SPDX-License-Identifier: Apache-2.0
#include "probes/prober.h"

#include <gtest/gtest.h>

#include <deque>

namespace keelson::probes {
namespace {

using namespace std::chrono_literals;

/// What each kind's tries answer, in order; the last one repeats. 's' success, 'f' failure, 'e' error, 'w' a success
/// that warns.
class ProberTest : public ::testing::Test {
 protected:
  ProberTest()
      : prober_(
            loop_, [this](Subject, Target target, Duration) { return answer(target.path); },
            [this] { return random_; }) {}

  asio::awaitable<TryResult> answer(std::string name) {
    ++tries_[name];
    auto& script = scripts_[name];
    char next = script.front();
    if (script.size() > 1) {
      script.erase(0, 1);
    }
    const bool success = next == 's' || next == 'w';
    co_return TryResult{success       ? Outcome::success
                        : next == 'f' ? Outcome::failure
                                      : Outcome::error,
                        "text", next == 'w' ? "redirected" : ""};
  }

  std::optional<ProbePlan> plan(const std::string& name, const std::string& script, Schedule schedule = {}) {
    scripts_[name] = script;
    Target target;
    target.path = name;
    return ProbePlan{target, schedule};
  }

  Subject subject(const std::string& id = "id-1") {
    Subject out;
    out.group = "uid";
    out.container = "c";
    out.id = id;
    out.started_at = clock_.wall();
    return out;
  }

  void watch(Subject s) {
    prober_.watch(std::move(s), [this](const News& news) {
      static constexpr const char* kKinds[] = {"liveness", "readiness", "startup"};
      told_.push_back(std::string(kKinds[static_cast<int>(news.kind)]) +
                      (news.error     ? " error"
                       : news.decided ? (news.success ? " good" : " bad")
                                      : " try") +
                      (news.warning.empty() ? "" : " warns"));
    });
  }

  using Words = std::vector<std::string>;
  double random_ = 0;
  FakeClock clock_;
  Loop loop_{clock_, "test"};
  std::map<std::string, std::string> scripts_;
  std::map<std::string, int> tries_;
  Words told_;
  Prober prober_;
};

TEST_F(ProberTest, LivenessIsBadAfterThreeFailuresInARowAndThenStops) {
  auto s = subject();
  s.liveness = plan("l", "sffsfff");
  watch(s);
  loop_.advance(clock_, 1h);
  EXPECT_EQ(told_, (Words{"liveness try", "liveness try", "liveness try", "liveness try", "liveness bad"}));
  EXPECT_EQ(tries_["l"], 7) << "no more tries of an instance that is to be killed";
}

TEST_F(ProberTest, ReadinessIsToldAtOnceAndByThresholds) {
  auto s = subject();
  s.readiness = plan("r", "sfffsss", {.success_threshold = 2});
  watch(s);
  loop_.advance(clock_, 0s);
  EXPECT_EQ(tries_["r"], 1) << "the first try does not wait for the period";
  EXPECT_TRUE(told_.empty()) << "one success is below the threshold";
  loop_.advance(clock_, 60s);
  EXPECT_EQ(told_, (Words{"readiness try", "readiness try", "readiness bad", "readiness good"}));
}

TEST_F(ProberTest, TriesAreCountedWhileTheyAreWatched) {
  auto s = subject();
  s.readiness = plan("r", "seeefs");  // an error is tried three times, and is one try
  watch(s);
  loop_.advance(clock_, 35s);
  const auto tallies = prober_.tallies();
  ASSERT_EQ(tallies.size(), 1U);
  EXPECT_EQ(tallies[0].group, "uid");
  EXPECT_EQ(tallies[0].container, "c");
  EXPECT_EQ(tallies[0].kind, ProbeKind::readiness);
  EXPECT_EQ(tallies[0].succeeded, 2U);
  EXPECT_EQ(tallies[0].failed, 1U);
  EXPECT_EQ(tallies[0].unknown, 1U);
  EXPECT_EQ(tallies[0].durations.count(), 3U) << "how long a failure took is not told";
  prober_.forget("uid", "c");
  EXPECT_TRUE(prober_.tallies().empty());
}

TEST_F(ProberTest, AnErrorIsToldAndChangesNothing) {
  auto s = subject();
  s.liveness = plan("l", "ffeeefs");
  watch(s);
  loop_.advance(clock_, 25s);
  EXPECT_EQ(told_, (Words{"liveness try", "liveness try", "liveness error"})) << "after three tries";
  loop_.advance(clock_, 10s);
  EXPECT_EQ(told_.back(), "liveness bad") << "it is as if there had been no error";
}

TEST_F(ProberTest, ASuccessThatWarnsIsTold) {
  auto s = subject();
  s.liveness = plan("l", "w");
  watch(s);
  loop_.advance(clock_, 10s);
  EXPECT_EQ(told_, (Words{"liveness try warns", "liveness try warns"}));
}

TEST_F(ProberTest, WhatRanBeforeIsProbedFirstAtARandomTime) {
  auto s = subject("old");
  s.started_at = clock_.wall() - 1h;
  s.liveness = plan("l", "s");
  random_ = 0.7;
  watch(s);
  loop_.advance(clock_, 6s);
  EXPECT_EQ(tries_["l"], 0);
  loop_.advance(clock_, 1s);
  EXPECT_EQ(tries_["l"], 1);
  auto later = subject("new");
  later.container = "d";
  later.readiness = plan("r", "s");
  watch(later);
  loop_.advance(clock_, 0s);
  EXPECT_EQ(tries_["r"], 1) << "what starts now is probed at once";
}

TEST_F(ProberTest, StartupHoldsTheOthersBack) {
  auto s = subject();
  s.startup = plan("s", "ffs", {.failure_threshold = 5});
  s.liveness = plan("l", "s");
  s.readiness = plan("r", "s");
  watch(s);
  loop_.advance(clock_, 19s);
  EXPECT_EQ(tries_["l"] + tries_["r"], 0);
  loop_.advance(clock_, 1s);
  EXPECT_EQ(told_, (Words{"startup try", "startup try", "startup good", "readiness good"}));
  EXPECT_EQ(tries_["l"], 1);
}

TEST_F(ProberTest, AFailedStartupStopsEverything) {
  auto s = subject();
  s.startup = plan("s", "f");
  s.liveness = plan("l", "s");
  watch(s);
  loop_.advance(clock_, 10min);
  EXPECT_EQ(told_.back(), "startup bad");
  EXPECT_EQ(tries_["s"], 3);
  EXPECT_EQ(tries_["l"], 0);
}

TEST_F(ProberTest, InitialDelayCountsFromTheStart) {
  auto s = subject();
  s.started_at -= 5s;
  s.liveness = plan("l", "s", {.initial_delay = 15s});
  watch(s);
  loop_.advance(clock_, 9s);
  EXPECT_EQ(tries_["l"], 0);
  loop_.advance(clock_, 1s);
  EXPECT_EQ(tries_["l"], 1);
}

TEST_F(ProberTest, ErrorsAreTriedThreeTimesAndForgotten) {
  auto s = subject();
  s.liveness = plan("l", "ffeeef", {.failure_threshold = 3});
  watch(s);
  loop_.advance(clock_, 20s);
  EXPECT_EQ(tries_["l"], 5) << "two failures, then three tries that say nothing";
  EXPECT_EQ(told_, (Words{"liveness try", "liveness try", "liveness error"}));
  loop_.advance(clock_, 10s);
  EXPECT_EQ(told_.back(), "liveness bad");
}

TEST_F(ProberTest, ANewInstanceStartsAfresh) {
  auto s = subject();
  s.liveness = plan("l", "ff");
  watch(s);
  loop_.advance(clock_, 10s);
  auto next = subject("id-2");
  next.liveness = plan("l", "s");
  watch(next);
  told_.clear();
  loop_.advance(clock_, 60s);
  EXPECT_TRUE(told_.empty());
}

TEST_F(ProberTest, WhenThePodEndsOnlyReadinessGoesOn) {
  auto s = subject();
  s.liveness = plan("l", "s");
  s.readiness = plan("r", "sf");
  watch(s);
  loop_.advance(clock_, 5s);
  prober_.end_group("uid");
  loop_.advance(clock_, 60s);
  EXPECT_EQ(tries_["l"], 1);
  EXPECT_GT(tries_["r"], 3);
  prober_.forget("uid", "c");
  auto before = tries_["r"];
  loop_.advance(clock_, 60s);
  EXPECT_EQ(tries_["r"], before);
}

TEST_F(ProberTest, GoesOnFromWhatAnEarlierProberDecided) {
  auto s = subject();
  s.started = true;
  s.ready = true;
  s.startup = plan("startup", "f");
  s.readiness = plan("readiness", "sffffs", {.period = 1s, .failure_threshold = 3});
  watch(std::move(s));
  loop_.advance(clock_, 2500ms);
  EXPECT_EQ(tries_["startup"], 0);
  EXPECT_EQ(told_, (Words{"readiness try", "readiness try"})) << "ready still, below the threshold";
  loop_.advance(clock_, 1s);
  EXPECT_EQ(told_.back(), "readiness bad");
  loop_.advance(clock_, 2s);
  EXPECT_EQ(told_.back(), "readiness good");
}

}  // namespace
}  // namespace keelson::probes
