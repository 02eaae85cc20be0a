// SPDX-License-Identifier: Apache-2.0
#include "agent/network_look.h"

#include <gtest/gtest.h>

#include "agent/small_world.h"
#include "common/task_group.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;

/// Counts who asks; answers when it is let.
struct SlowNetwork : SmallWorld {
  explicit SlowNetwork(Loop& l) : SmallWorld(l), loop(l) {}
  Task<std::string> network_trouble() override {
    ++asked;
    KEELSON_CO_DO(co_await loop.sleep(takes));
    co_return network_lacks;
  }
  Loop& loop;
  int asked = 0;
  Duration takes{0};
};

class NetworkLookTest : public ::testing::Test {
 protected:
  void ask() { tasks_.spawn("ask", ask_for(&look_, &answers_)); }
  static Task<> ask_for(NetworkLook* look, std::vector<std::string>* answers) {
    auto told = co_await look->trouble();
    answers->push_back(told ? "'" + *told + "'" : std::string(to_string(told.error().kind())));
    co_return Result<>();
  }

  FakeClock clock_;
  Loop loop_{clock_, "test"};
  SlowNetwork world_{loop_};
  NetworkLook look_{loop_, world_};
  std::vector<std::string> answers_;
  TaskGroup tasks_{loop_};
};

TEST_F(NetworkLookTest, ThoseWhoAskTogetherShareAnAnswer) {
  world_.takes = 100ms;
  for (int i = 0; i < 3; ++i) {
    ask();
  }
  loop_.advance(clock_, 100ms);
  EXPECT_EQ(answers_, (std::vector<std::string>{"''", "''", "''"}));
  EXPECT_EQ(world_.asked, 1);
}

TEST_F(NetworkLookTest, IsAskedAgainSoonerWhenItIsNotReady) {
  ask();
  loop_.advance(clock_, 4900ms);
  ask();
  loop_.advance(clock_, 100ms);
  EXPECT_EQ(world_.asked, 1);
  world_.network_lacks = "no plugin";
  ask();
  loop_.advance(clock_, 500ms);
  ask();
  loop_.run_until_idle();
  EXPECT_EQ(world_.asked, 2);
  EXPECT_EQ(answers_, (std::vector<std::string>{"''", "''", "'no plugin'", "'no plugin'"}));
  loop_.advance(clock_, 500ms);
  world_.network_lacks.clear();
  ask();
  loop_.advance(clock_, 1ms);
  EXPECT_EQ(world_.asked, 3);
  EXPECT_EQ(answers_.back(), "''");
}

TEST_F(NetworkLookTest, WhoIsCancelledKeepsNobodyWaiting) {
  world_.takes = 100ms;
  TaskGroup cancelled(loop_);
  cancelled.spawn("ask", ask_for(&look_, &answers_));
  loop_.run_until_idle();
  ask();
  loop_.run_until_idle();
  tasks_.spawn("close", cancelled.close());
  loop_.advance(clock_, 200ms);
  EXPECT_EQ(world_.asked, 2) << "the other asks itself";
  EXPECT_EQ(answers_.back(), "''");
}

}  // namespace
}  // namespace keelson::agent
