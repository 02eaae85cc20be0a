// SPDX-License-Identifier: Apache-2.0
// Remote commands over SPDY: whole sessions with a process, every protocol version, and clients that misbehave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "cri/streaming/server.h"
#include "cri/streaming/spdy_test_client.h"
#include "cri/streaming/test_shell.h"

namespace keelson::cri {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr AskedStreams kOutputs{.in = false, .out = true, .err = true, .terminal = false};
constexpr AskedStreams kPipe{.in = true, .out = true, .err = false, .terminal = false};

class SpdyCommand : public testing::Test {
 protected:
  void start(StreamingTimes times = {}) { server_ = *StreamingServer::start({.times = times}); }
  void SetUp() override { start(); }

  // A session whose end by hang_up is seen.
  std::string offer(AskedStreams asked, const std::string& command) {
    auto open = [this, command]() -> Result<StreamSession> {
      auto session = run_shell(command);
      session->resize = [this](TerminalSize size) -> Result<> {
        sizes_.push_back(size);
        return {};
      };
      session->hang_up = [this, kill = session->hang_up] {
        kill();
        hung_up_.set_value();
      };
      return session;
    };
    return *server_->offer("exec", CommandOffer{asked, std::move(open)});
  }
  bool hung_up() { return hung_up_.get_future().wait_for(10s) == std::future_status::ready; }

  static uint32_t channel(SpdyClient& client, const std::string& type) { return client.open({{"streamtype", type}}); }

  std::vector<TerminalSize> sizes_;
  std::promise<void> hung_up_;
  std::unique_ptr<StreamingServer> server_;  // last: its sessions use the rest
};

TEST_F(SpdyCommand, OutputAndExitCode) {
  SpdyClient client(offer(kOutputs, "echo out; echo err >&2; exit 3"), "v4.channel.k8s.io, v3.channel.k8s.io");
  ASSERT_EQ(client.status(), 101u);
  EXPECT_EQ(client.header("X-Stream-Protocol-Version"), "v4.channel.k8s.io");
  EXPECT_EQ(client.header("Upgrade"), "SPDY/3.1");
  const auto error = channel(client, "error"), out = channel(client, "stdout"), err = channel(client, "stderr");
  client.read_to_end();
  EXPECT_TRUE(client.seen(out).replied);
  EXPECT_EQ(client.seen(out).data, "out\n");
  EXPECT_TRUE(client.seen(out).fin);
  EXPECT_EQ(client.seen(err).data, "err\n");
  EXPECT_THAT(client.seen(error).data, HasSubstr(R"("causes":[{"reason":"ExitCode","message":"3"}])"));
  EXPECT_TRUE(client.seen(error).fin);
  EXPECT_TRUE(client.saw_go_away());
}

TEST_F(SpdyCommand, StdinAndHalfClose) {
  SpdyClient client(offer(kPipe, "cat | wc -c; echo end"), "v4.channel.k8s.io");
  const auto error = channel(client, "error"), in = channel(client, "stdin"), out = channel(client, "stdout");
  for (int i = 0; i < 16; ++i) {
    client.send(in, std::string(65536, 'x'));
  }
  client.send(in, "", true);
  EXPECT_EQ(client.read_stream(out), "1048576\nend\n");
  EXPECT_THAT(client.read_stream(error), HasSubstr(R"("status":"Success")"));
}

TEST_F(SpdyCommand, PingsAreAnsweredMeanwhile) {
  SpdyClient client(offer(kPipe, "cat"), "v4.channel.k8s.io");
  channel(client, "error");
  const auto in = channel(client, "stdin"), out = channel(client, "stdout");
  client.ping(1);
  EXPECT_TRUE(client.read_until([&] { return client.pings().contains(1); }));
  client.send(in, "after", true);
  EXPECT_EQ(client.read_stream(out), "after");
}

TEST_F(SpdyCommand, SizesCutAnywhere) {
  SpdyClient client(offer({.in = true, .out = true, .err = false, .terminal = true}, "cat"), "v4.channel.k8s.io");
  channel(client, "error");
  const auto in = channel(client, "stdin"), out = channel(client, "stdout"), resize = channel(client, "resize");
  client.send(resize, R"({"Width":80,"He)");
  client.send(resize, "ight\":24}\n{\"Width\":100,\"Height\":30}\n");
  client.send(in, "done", true);
  EXPECT_EQ(client.read_stream(out), "done");
  ASSERT_EQ(sizes_.size(), 2u);
  EXPECT_EQ(sizes_[0].height, 24);
  EXPECT_EQ(sizes_[1].width, 100);
}

TEST_F(SpdyCommand, Version3TellsFailuresAsText) {
  SpdyClient client(offer(kOutputs, "exit 9"), "v3.channel.k8s.io");
  const auto error = channel(client, "error");
  channel(client, "stdout");
  channel(client, "stderr");
  EXPECT_EQ(client.read_stream(error), "command terminated with non-zero exit code: exit status 9");
  SpdyClient good(offer(kOutputs, "exit 0"), "v2.channel.k8s.io");
  const auto silent = channel(good, "error");
  channel(good, "stdout");
  channel(good, "stderr");
  EXPECT_EQ(good.read_stream(silent), "");
}

TEST_F(SpdyCommand, Version1ClosesStdinAndErrorAtOnce) {
  SpdyClient client(offer(kPipe, "cat"), "channel.k8s.io");
  const auto error = channel(client, "error"), in = channel(client, "stdin"), out = channel(client, "stdout");
  EXPECT_TRUE(client.read_until([&] { return client.seen(error).reset && client.seen(in).fin; }));
  client.send(in, "still read", true);
  EXPECT_EQ(client.read_stream(out), "still read");
}

TEST_F(SpdyCommand, ProtocolsAreNegotiated) {
  SpdyClient unknown(offer(kOutputs, "true"), "v9.channel.k8s.io");
  EXPECT_EQ(unknown.status(), 403u);
  EXPECT_EQ(unknown.header("X-Accepted-Stream-Protocol-Versions"),
            "v4.channel.k8s.io,v3.channel.k8s.io,v2.channel.k8s.io,channel.k8s.io");
  SpdyClient none(offer(kOutputs, "true"), "");
  EXPECT_EQ(none.status(), 400u);
  EXPECT_THAT(none.body(), HasSubstr("X-Stream-Protocol-Version is required"));
  SpdyClient forward(offer(kOutputs, "true"), "portforward.k8s.io");
  EXPECT_EQ(forward.status(), 403u);
}

TEST_F(SpdyCommand, FailureToOpenIsTold) {
  auto open = [] { return fail(Kind::not_found, "container is gone"); };
  SpdyClient client(*server_->offer("exec", CommandOffer{kOutputs, open}), "v4.channel.k8s.io");
  const auto error = channel(client, "error");
  channel(client, "stdout");
  channel(client, "stderr");
  EXPECT_THAT(client.read_stream(error), HasSubstr("container is gone"));
}

// client-go waits for the answer to each stream, the last one too.
TEST_F(SpdyCommand, EveryStreamIsAnsweredBeforeTheCommandHasStarted) {
  std::promise<void> may_start;
  auto open = [start = may_start.get_future().share()]() -> Result<StreamSession> {
    start.wait();
    return run_shell("echo out");
  };
  SpdyClient client(*server_->offer("exec", CommandOffer{kPipe, std::move(open)}), "v4.channel.k8s.io");
  const auto error = channel(client, "error"), in = channel(client, "stdin"), out = channel(client, "stdout");
  EXPECT_TRUE(client.read_until(
      [&] { return client.seen(error).replied && client.seen(in).replied && client.seen(out).replied; }));
  may_start.set_value();
  EXPECT_EQ(client.read_stream(out), "out\n");
}

TEST_F(SpdyCommand, AProcessThatIsSlowToEndHoldsUpNoOtherSession) {
  std::promise<void> may_end;
  auto open = [this, end = may_end.get_future().share()]() -> Result<StreamSession> {
    StreamSession session;
    session.wait = [end]() -> Result<int> {
      end.wait();
      return 137;
    };
    session.hang_up = [this] { hung_up_.set_value(); };
    return session;
  };
  SpdyClient client(*server_->offer("exec", CommandOffer{kPipe, std::move(open)}), "v4.channel.k8s.io");
  for (const auto* type : {"error", "stdin", "stdout"}) {
    channel(client, type);
  }
  client.go_away();
  ASSERT_TRUE(hung_up());
  SpdyClient other(*server_->offer("exec", CommandOffer{kOutputs, [] { return run_shell("echo out"); }}),
                   "v4.channel.k8s.io");
  channel(other, "error");
  const auto out = channel(other, "stdout");
  channel(other, "stderr");
  EXPECT_EQ(other.read_stream(out), "out\n");
  may_end.set_value();
}

TEST_F(SpdyCommand, StreamsThatDoNotComeEndTheConnection) {
  start({.creation = 50ms, .idle = 1h});
  std::atomic<bool> opened = false;
  auto open = [&]() -> Result<StreamSession> {
    opened = true;
    return fail(Kind::internal, "unwanted");
  };
  SpdyClient client(*server_->offer("exec", CommandOffer{kOutputs, open}), "v4.channel.k8s.io");
  const auto error = channel(client, "error");
  client.read_to_end();
  EXPECT_TRUE(client.seen(error).replied);
  EXPECT_FALSE(opened);
}

TEST_F(SpdyCommand, SilenceEndsTheProcess) {
  start({.creation = 10s, .idle = 50ms});
  SpdyClient client(offer(kPipe, "exec sleep 1000"), "v4.channel.k8s.io");
  for (const auto* type : {"error", "stdin", "stdout"}) {
    channel(client, type);
  }
  EXPECT_TRUE(hung_up());
}

// The process never reads, so stdin backs up through every queue, and nobody reads the connection when it breaks.
TEST_F(SpdyCommand, LostClientIsNoticedBehindAFullStdin) {
  SpdyClient client(offer(kPipe, "exec sleep 1000"), "v4.channel.k8s.io");
  for (const auto* type : {"error", "stdin", "stdout"}) {
    channel(client, type);
  }
  ASSERT_TRUE(client.read_until([&] { return client.seen(5).replied; }));
  client.socket().non_blocking(true);
  const auto chunk = SpdyWriter::data(3, std::string(65536, 'x'));
  boost::system::error_code error;
  while (!error) {
    client.socket().write_some(boost::asio::buffer(chunk), error);
  }
  client.socket().set_option(boost::asio::socket_base::linger(true, 0));  // broken, not closed in order
  client.vanish();
  EXPECT_TRUE(hung_up());
}

TEST_F(SpdyCommand, GoAwayEndsTheProcess) {
  SpdyClient client(offer(kPipe, "exec sleep 1000"), "v4.channel.k8s.io");
  for (const auto* type : {"error", "stdin", "stdout"}) {
    channel(client, type);
  }
  client.go_away();
  EXPECT_TRUE(hung_up());
}

TEST_F(SpdyCommand, BrokenFramesEndTheSession) {
  for (const auto& bytes : {std::string("\x80\x02\x00\x01\x00\x00\x00\x00", 8),  // another version
                            std::string("\x80\x03\x00\x01\x00\xff\xff\xff", 8),  // a SYN_STREAM of 16 MiB
                            std::string(8, '\0')}) {                             // data for stream 0
    SpdyClient client(offer(kOutputs, "true"), "v4.channel.k8s.io");
    client.raw(bytes);
    client.read_to_end();
    EXPECT_FALSE(client.saw_go_away());
  }
}

TEST_F(SpdyCommand, UnknownStreamsAreReset) {
  SpdyClient client(offer(kOutputs, "echo hi"), "v4.channel.k8s.io");
  const auto other = channel(client, "data");
  channel(client, "error");
  const auto twice = channel(client, "error"), out = channel(client, "stdout");
  channel(client, "stderr");
  EXPECT_EQ(client.read_stream(out), "hi\n");
  EXPECT_TRUE(client.seen(other).reset);
  EXPECT_TRUE(client.seen(twice).reset);
}

TEST_F(SpdyCommand, OutputIsNotHeldInMemory) {
  // 64 MiB to a client that reads late: the process must wait, not the server's memory grow.
  SpdyClient client(offer(kOutputs, "head -c 67108864 /dev/zero; echo done >&2"), "v4.channel.k8s.io");
  channel(client, "error");
  const auto out = channel(client, "stdout"), err = channel(client, "stderr");
  ASSERT_TRUE(client.read_until([&] { return !client.seen(out).data.empty(); }));
  EXPECT_EQ(client.seen(err).data, "");
  client.read_to_end();
  EXPECT_EQ(client.seen(out).data.size(), 67108864u);
  EXPECT_EQ(client.seen(err).data, "done\n");
}

}  // namespace
}  // namespace keelson::cri
