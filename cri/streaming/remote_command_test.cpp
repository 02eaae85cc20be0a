// SPDX-License-Identifier: Apache-2.0
// The end of a remote command by a clock that stands still: whose output is awaited, and for how long.
#include "cri/streaming/remote_command.h"

#include <gtest/gtest.h>

#include "common/pipe.h"
#include "common/task_group.h"

namespace keelson::cri {
namespace {

using namespace std::chrono_literals;

/// A client that sends nothing, and takes output only once it is let.
class SlowLine final : public ChannelLine {
 public:
  explicit SlowLine(Loop& loop) : gate_(loop.io()), never_(loop.io()) {
    gate_.expires_at(asio::steady_timer::time_point::max());
    never_.expires_at(asio::steady_timer::time_point::max());
  }
  void let() {
    open_ = true;
    gate_.cancel();
  }
  const std::string& got() const { return got_; }
  const std::optional<int>& ending() const { return ending_; }

  Task<Message> read() override {
    co_await never_.async_wait(use_result);
    co_return fail(Kind::cancelled, "over");
  }
  Task<> write(Channel, std::string data) override {
    while (!open_) {
      co_await gate_.async_wait(use_result);
    }
    got_ += data;
    co_return Result<>();
  }
  Task<> finish(Result<int> ending) override {
    ending_ = ending.value_or(-1);
    co_return Result<>();
  }
  Task<> lost() override {
    co_await never_.async_wait(use_result);
    co_return fail(Kind::cancelled, "over");
  }

 private:
  asio::steady_timer gate_;
  asio::steady_timer never_;
  bool open_ = false;
  std::string got_;
  std::optional<int> ending_;
};

class RemoteCommandEnd : public testing::Test {
 protected:
  /// A process that has written to `out`, and ended by the time that this returns.
  void run(Fd out) {
    StreamSession session;
    session.out = std::move(out);
    session.wait = []() -> Result<int> { return 3; };
    session.hang_up = [] {};
    command_.emplace(loop_, waiter_, line_, std::move(session));
    group_.spawn("command", command_->run());
    loop_.run_until_idle();
    waiter_.join();
    loop_.run_until_idle();
  }

  void TearDown() override {
    group_.cancel();
    loop_.run_until_idle();
  }

  FakeClock clock_;
  Loop loop_{clock_, "kl-test"};
  asio::thread_pool waiter_{1};
  SlowLine line_{loop_};
  std::optional<RemoteCommand> command_;
  TaskGroup group_{loop_};
};

TEST_F(RemoteCommandEnd, WhatASlowClientHasNotTakenYetIsNotLost) {
  auto pipe = make_pipe();
  const std::string text(64 << 10, 'x');
  ASSERT_TRUE(write_all(pipe->write.get(), text));
  run(std::move(pipe->read));
  loop_.advance(clock_, 10s);
  EXPECT_FALSE(line_.ending());
  line_.let();
  loop_.run_until_idle();
  EXPECT_EQ(line_.got(), text);
  EXPECT_EQ(line_.ending(), 3);
}

TEST_F(RemoteCommandEnd, WhoKeepsTheOutputOpenIsNotAwaitedForLong) {
  auto pipe = make_pipe();
  line_.let();
  run(std::move(pipe->read));
  EXPECT_FALSE(line_.ending());
  ASSERT_TRUE(write_all(pipe->write.get(), "late"));
  loop_.advance(clock_, 900ms);
  EXPECT_EQ(line_.got(), "late");
  EXPECT_FALSE(line_.ending());
  loop_.advance(clock_, 200ms);
  EXPECT_EQ(line_.ending(), 3);
}

TEST_F(RemoteCommandEnd, WhoGoesOnWritingForEverIsCut) {
  auto endless = open_file("/dev/zero", O_RDONLY);
  ASSERT_TRUE(endless);
  run(std::move(*endless));
  loop_.advance(clock_, 10s);
  line_.let();
  loop_.run_until_idle();
  EXPECT_EQ(line_.ending(), 3);
  EXPECT_GE(line_.got().size(), 64U << 10) << "a pipe's worth is the process's own";
  EXPECT_LE(line_.got().size(), 2U << 20);
}

}  // namespace
}  // namespace keelson::cri
