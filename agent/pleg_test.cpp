// SPDX-License-Identifier: Apache-2.0
// The agent's regular look at the runtime, on a fake clock.
#include "agent/pleg.h"

#include <gtest/gtest.h>

#include "agent/small_world.h"
#include "common/log.h"
#include "common/task_group.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;

class PlegTest : public ::testing::Test {
 protected:
  PlegTest() {
    log::set_level(log::Level::off);
    tasks_.spawn("look", pleg_.run());
    loop_.run_until_idle();
  }
  ~PlegTest() override {
    tasks_.cancel();
    loop_.run_until_idle();
  }
  void advance(Duration by) { loop_.advance(clock_, by); }
  const Histogram& histogram(const std::string& name) {
    told_ = {};
    pleg_.collect(told_);
    return told_.families().at(name).samples.at(0).histogram.at(0);
  }

  FakeClock clock_;
  Loop loop_{clock_, "test"};
  SmallWorld world_{loop_};
  Stats told_;
  std::vector<SteadyTime> seen_;
  Pleg pleg_{loop_, world_, {.seen = [this](SteadyTime when) { seen_.push_back(when); }}};
  TaskGroup tasks_{loop_};
};

TEST_F(PlegTest, LooksAtOnceAndThenEachPeriod) {
  EXPECT_EQ(seen_.size(), 1U);
  advance(30s);
  ASSERT_EQ(seen_.size(), 4U);
  EXPECT_EQ(seen_.back(), clock_.steady());
  EXPECT_EQ(histogram("kubelet_pleg_relist_duration_seconds").count(), 4U);
  const auto& intervals = histogram("kubelet_pleg_relist_interval_seconds");
  EXPECT_EQ(intervals.count(), 3U);
  EXPECT_EQ(intervals.sum(), 30);
  EXPECT_EQ(told_.families().at("kubelet_pleg_last_seen_seconds").samples[0].value,
            std::chrono::duration<double>(clock_.wall().time_since_epoch()).count());
}

TEST_F(PlegTest, ALookWithoutAnAnswerIsNoSignOfLife) {
  const auto before = seen_.back();
  world_.before_call = [](std::string_view) -> Result<> { return fail(Kind::unavailable, "it is away"); };
  advance(5min);
  EXPECT_EQ(seen_.back(), before);
  EXPECT_EQ(histogram("kubelet_pleg_relist_duration_seconds").count(), 31U) << "it was tried";
  EXPECT_GE(histogram("kubelet_pleg_relist_interval_seconds").sum(), 300) << "since the last that was answered";
  world_.before_call = [](std::string_view) { return Result<>(); };
  advance(10s);
  EXPECT_EQ(seen_.back(), clock_.steady());
}

}  // namespace
}  // namespace keelson::agent
