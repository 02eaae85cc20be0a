// SPDX-License-Identifier: Apache-2.0
#include "common/loop.h"

#include <gtest/gtest.h>

#include <future>

#include "common/task_group.h"

namespace keelson {
namespace {

using namespace std::chrono_literals;

Task<> append_after(Loop* loop, Duration after, std::vector<int>* out, int value) {
  KEELSON_CO_DO(co_await loop->sleep(after));
  out->push_back(value);
  co_return Result<>();
}

Task<> set_when_cancelled(Loop* loop, bool* cancelled) {
  auto slept = co_await loop->sleep(1h);
  *cancelled = !slept && slept.error().kind() == Kind::cancelled;
  co_return Result<>();
}

TEST(Loop, FakeTimeFiresInOrder) {
  FakeClock clock;
  Loop loop(clock, "test");
  TaskGroup group(loop);
  std::vector<int> out;
  group.spawn("b", append_after(&loop, 20s, &out, 2));
  group.spawn("a", append_after(&loop, 10s, &out, 1));
  group.spawn("c", append_after(&loop, 30s, &out, 3));
  loop.advance(clock, 25s);
  EXPECT_EQ(out, (std::vector<int>{1, 2}));
  EXPECT_EQ(group.count(), 1U);
  loop.advance(clock, 5s);
  EXPECT_EQ(out, (std::vector<int>{1, 2, 3}));
}

Task<> close_group(TaskGroup* group, bool* done) {
  KEELSON_CO_DO(co_await group->close());
  *done = true;
  co_return Result<>();
}

TEST(TaskGroup, CloseCancelsWaitsAndShutsTheDoor) {
  FakeClock clock;
  Loop loop(clock, "test");
  TaskGroup owner(loop);
  TaskGroup group(loop);
  bool cancelled = false;
  bool closed = false;
  group.spawn("sleeper", set_when_cancelled(&loop, &cancelled));
  loop.run_until_idle();
  owner.spawn("close", close_group(&group, &closed));
  loop.run_until_idle();
  EXPECT_TRUE(cancelled);
  EXPECT_TRUE(closed);
  std::vector<int> out;
  group.spawn("late", append_after(&loop, 0s, &out, 1));
  loop.advance(clock, 1s);
  EXPECT_TRUE(out.empty());
}

Task<> deadline(Loop* loop, Duration limit, Duration work, std::optional<Kind>* kind) {
  std::vector<int> out;
  auto result = co_await with_deadline(*loop, limit, append_after(loop, work, &out, 1));
  if (!result) {
    *kind = result.error().kind();
  }
  co_return Result<>();
}

TEST(WithDeadline, TimesOutOrPassesTheResult) {
  FakeClock clock;
  Loop loop(clock, "test");
  TaskGroup group(loop);
  std::optional<Kind> late;
  std::optional<Kind> in_time;
  group.spawn("late", deadline(&loop, 1s, 2s, &late));
  group.spawn("in time", deadline(&loop, 2s, 1s, &in_time));
  loop.advance(clock, 3s);
  EXPECT_EQ(late, Kind::timeout);
  EXPECT_EQ(in_time, std::nullopt);
  EXPECT_EQ(group.count(), 0U);
}

Task<> end_late(Loop* loop) {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_return co_await loop->sleep(1s);
}

Task<> await_late(Loop* loop, std::optional<Kind>* kind) {
  if (auto result = co_await with_deadline(*loop, 1h, end_late(loop)); !result) {
    *kind = result.error().kind();
  }
  co_return Result<>();
}

TEST(WithDeadline, WhoIsCancelledIsNotToldOfATimeout) {
  FakeClock clock;
  Loop loop(clock, "test");
  TaskGroup group(loop);
  std::optional<Kind> kind;
  group.spawn("late", await_late(&loop, &kind));
  loop.run_until_idle();
  group.cancel();
  loop.advance(clock, 1s);
  EXPECT_EQ(kind, Kind::cancelled) << "though its task has ended after the wait";
  EXPECT_EQ(group.count(), 0U);
}

Task<> run_blocking(Loop* loop, asio::thread_pool* pool, std::shared_future<void> release, std::vector<Kind>* kinds) {
  auto work = [release]() -> Result<int> {
    release.wait();
    return 1;
  };
  auto result = co_await with_deadline(*loop, 20ms, blocking(*pool, work));
  kinds->push_back(result ? Kind::internal : result.error().kind());
  loop->stop();
  co_return Result<>();
}

TEST(Blocking, ADeadlineDoesNotWaitForAHungCall) {
  Loop loop(real_clock(), "test");
  asio::thread_pool pool(1);
  std::promise<void> release;
  std::vector<Kind> kinds;
  TaskGroup group(loop);
  group.spawn("hang", run_blocking(&loop, &pool, release.get_future().share(), &kinds));
  loop.run();
  EXPECT_EQ(kinds, std::vector<Kind>{Kind::timeout});
  release.set_value();
  pool.join();
}

}  // namespace
}  // namespace keelson
