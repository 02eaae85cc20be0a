// SPDX-License-Identifier: Apache-2.0
// Streaming: tickets, the channel protocol, and whole sessions with a process over a real WebSocket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <list>

#include "cri/streaming/server.h"
#include "cri/streaming/test_client.h"
#include "cri/streaming/test_shell.h"
#include "cri/streaming/tokens.h"

namespace keelson::cri {
namespace {

namespace beast = boost::beast;
using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(Channels, NewestProtocolWins) {
  EXPECT_EQ(choose_protocol("v4.channel.k8s.io, v5.channel.k8s.io"), kProtocolV5);
  EXPECT_EQ(choose_protocol("v4.channel.k8s.io"), kProtocolV4);
  EXPECT_EQ(choose_protocol("channel.k8s.io,"), std::nullopt);
}

TEST(Channels, ResizeAndStatus) {
  EXPECT_EQ(parse_resize(R"({"Width":120,"Height":40})")->width, 120);
  EXPECT_FALSE(parse_resize(R"({"Width":120})"));
  EXPECT_FALSE(parse_resize(R"({"Width":70000,"Height":1})"));
  EXPECT_THAT(ending_json(3), HasSubstr(R"("causes":[{"reason":"ExitCode","message":"3"}])"));
  EXPECT_THAT(ending_json(0), HasSubstr("Success"));
}

Offer unused() {
  return CommandOffer{{}, [] { return fail(Kind::internal, "unused"); }};
}

TEST(Tokens, GoodOnceAndForAMinute) {
  Tokens tokens;
  const Tokens::Time start{};
  const auto first = tokens.put(unused(), start);
  ASSERT_TRUE(first);
  EXPECT_TRUE(tokens.take(*first, start + 59s));
  EXPECT_FALSE(tokens.take(*first, start + 59s));
  const auto second = tokens.put(unused(), start);
  EXPECT_FALSE(tokens.take(*second, start + 61s));
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(tokens.put(unused(), start));
  }
  EXPECT_EQ(tokens.put(unused(), start).error().kind(), Kind::exhausted);
  EXPECT_TRUE(tokens.put(unused(), start + 61s));
}

constexpr AskedStreams kAll{.in = true, .out = true, .err = true, .terminal = false};

class StreamingTest : public testing::Test {
 protected:
  StreamingTest() : server_(*StreamingServer::start()) {}
  std::string offer(const std::string& command) {
    return *server_->offer("exec", CommandOffer{kAll, [command] { return run_shell(command); }});
  }
  std::unique_ptr<StreamingServer> server_;
};

TEST_F(StreamingTest, OutputAndExitCode) {
  StreamClient client(offer("echo out; echo err >&2; exit 3"), "v4.channel.k8s.io");
  ASSERT_FALSE(client.error()) << client.error().message();
  const auto all = client.read_to_end();
  EXPECT_EQ(all.at(Channel::out), "out\n");
  EXPECT_EQ(all.at(Channel::err), "err\n");
  EXPECT_THAT(all.at(Channel::error), HasSubstr(R"("message":"3")"));
  EXPECT_EQ(client.error(), beast::websocket::error::closed);
}

TEST_F(StreamingTest, StdinAndHalfClose) {
  StreamClient client(offer("cat; echo end"), "v5.channel.k8s.io");
  ASSERT_FALSE(client.error());
  client.send(Channel::in, "hello ");
  client.send(Channel::in, std::string(100'000, 'x'));
  client.send(Channel::close, std::string(1, '\0'));
  const auto all = client.read_to_end();
  EXPECT_EQ(all.at(Channel::out), "hello " + std::string(100'000, 'x') + "end\n");
  EXPECT_THAT(all.at(Channel::error), HasSubstr("Success"));
}

TEST_F(StreamingTest, UrlWorksOnce) {
  const auto url = offer("true");
  StreamClient first(url, "v5.channel.k8s.io");
  first.read_to_end();
  StreamClient second(url, "v5.channel.k8s.io");
  EXPECT_TRUE(second.error());
  EXPECT_EQ(second.status(), 404u);
}

TEST_F(StreamingTest, UnknownProtocolIsRefused) {
  StreamClient client(offer("true"), "v9.channel.k8s.io");
  EXPECT_EQ(client.status(), 400u);
}

TEST_F(StreamingTest, FailureToOpenIsTold) {
  const auto url =
      server_->offer("exec", CommandOffer{kAll, [] { return fail(Kind::not_found, "container is gone"); }});
  StreamClient client(*url, "v5.channel.k8s.io");
  EXPECT_THAT(client.read_to_end().at(Channel::error), HasSubstr("container is gone"));
}

TEST_F(StreamingTest, LostClientEndsTheProcess) {
  auto hung_up = std::make_shared<std::promise<void>>();
  auto open = [hung_up]() -> Result<StreamSession> {
    auto session = run_shell("exec sleep 1000");
    session->hang_up = [hung_up, kill = session->hang_up] {
      kill();
      hung_up->set_value();
    };
    return session;
  };
  const auto url = server_->offer("exec", CommandOffer{kAll, std::move(open)});
  StreamClient client(*url, "v5.channel.k8s.io");
  ASSERT_FALSE(client.error());
  client.vanish();
  EXPECT_EQ(hung_up->get_future().wait_for(10s), std::future_status::ready);
}

// Any process of the node's network may connect.
TEST_F(StreamingTest, ThoseWhoShowNoTicketKeepNobodyOut) {
  StreamingOptions options;
  options.times.request = 1h;
  server_ = *StreamingServer::start(options);
  const auto url = offer("echo out");
  const auto port = static_cast<uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  boost::asio::io_context io;
  std::list<boost::asio::ip::tcp::socket> silent;
  for (int i = 0; i < 300; ++i) {
    silent.emplace_back(io).connect({boost::asio::ip::address_v4::loopback(), port});
  }
  StreamClient client(url, "v5.channel.k8s.io");
  ASSERT_FALSE(client.error()) << client.error().message();
  EXPECT_EQ(client.read_to_end().at(Channel::out), "out\n");
  char byte = 0;
  EXPECT_EQ(::recv(silent.front().native_handle(), &byte, 1, 0), 0) << "it is still held";
  EXPECT_EQ(::recv(silent.back().native_handle(), &byte, 1, MSG_DONTWAIT), -1) << "it could still ask";
}

TEST_F(StreamingTest, ShutdownEndsSessions) {
  StreamClient client(offer("exec sleep 1000"), "v5.channel.k8s.io");
  ASSERT_FALSE(client.error());
  server_.reset();
  client.read_to_end();
  EXPECT_TRUE(client.error());
}

}  // namespace
}  // namespace keelson::cri
