// SPDX-License-Identifier: Apache-2.0
// Port forwarding over SPDY and over SPDY in a WebSocket tunnel, to servers of this process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <future>

#include "cri/streaming/forward_pairs.h"
#include "cri/streaming/server.h"
#include "cri/streaming/spdy_test_client.h"
#include "cri/streaming/test_server.h"

namespace keelson::cri {
namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using testing::HasSubstr;

constexpr char kProtocol[] = "portforward.k8s.io";

SpdyFrame syn(uint32_t id, SpdyHeaders headers) {
  return {.type = SpdyType::syn_stream, .id = id, .fin = false, .status = 0, .headers = std::move(headers), .data = {}};
}

TEST(ForwardPairs, StreamsByTheirHeaders) {
  const auto data = forward_stream_of(syn(3, {{"streamtype", "data"}, {"port", "80"}, {"requestid", "7"}}));
  EXPECT_TRUE(data->data);
  EXPECT_EQ(data->port, 80);
  EXPECT_EQ(data->request, "7");
  EXPECT_EQ(forward_stream_of(syn(3, {{"streamtype", "data"}, {"port", "80"}}))->request, "1");
  EXPECT_EQ(forward_stream_of(syn(1, {{"streamtype", "error"}, {"port", "80"}}))->request, "1");
  for (const auto* port : {"", "0", "65536", "80x", "-1"}) {
    EXPECT_FALSE(forward_stream_of(syn(1, {{"streamtype", "data"}, {"port", port}}))) << port;
  }
  EXPECT_FALSE(forward_stream_of(syn(1, {{"streamtype", "stdin"}, {"port", "80"}})));
}

TEST(ForwardPairs, EitherOrderAndNeverTwice) {
  ForwardPairs pairs;
  const ForwardStream data{"a", true, 80}, error{"a", false, 80};
  EXPECT_FALSE(*pairs.add(data, 1));
  EXPECT_EQ(pairs.add(data, 3).error().kind(), Kind::conflict);
  const auto pair = *pairs.add(error, 5);
  ASSERT_TRUE(pair);
  EXPECT_EQ(pair->data, 1u);
  EXPECT_EQ(pair->error, 5u);
  EXPECT_EQ(pair->port, 80);
  EXPECT_EQ(pairs.count(), 0u);
  EXPECT_FALSE(*pairs.add(error, 7));
  EXPECT_TRUE(pairs.expire("a"));
  EXPECT_FALSE(pairs.expire("a"));
}

/// Says "x", and waits for the end of its connection.
class LingeringServer {
 public:
  std::string port() const { return server_.port(); }
  bool has_ended() { return ended_.get_future().wait_for(10s) == std::future_status::ready; }

 private:
  std::promise<void> ended_;
  TestServer server_{"127.0.0.1", [this](tcp::socket& socket) {
                       boost::asio::write(socket, boost::asio::buffer("x", 1));
                       read_all(socket);
                       ended_.set_value();
                     }};
};

class PortForward : public testing::Test {
 protected:
  void start(StreamingTimes times = {}) { server_ = *StreamingServer::start({.times = times}); }
  void SetUp() override { start(); }
  std::string offer() {
    auto open = [](int family) -> Result<Fd> {
      return Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    };
    return *server_->offer("portforward", ForwardOffer{.sandbox = "pod1", .netns = "host", .open_socket = open});
  }
  struct Pair {
    uint32_t error;
    uint32_t data;
  };
  static Pair connect(SpdyClient& client, const std::string& port, const std::string& request) {
    const auto error = client.open({{"streamtype", "error"}, {"port", port}, {"requestid", request}});
    client.send(error, "", true);
    return {error, client.open({{"streamtype", "data"}, {"port", port}, {"requestid", request}})};
  }
  std::unique_ptr<StreamingServer> server_;
};

class AnyFraming : public PortForward, public testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(PortForward, AnyFraming, testing::Values(kProtocol, "SPDY/3.1+portforward.k8s.io"),
                         [](const auto& info) { return info.param == kProtocol ? "Spdy" : "Tunnel"; });

// The server answers only when the client has ended its half: both halves must end on their own.
TEST_P(AnyFraming, HalvesEndOnTheirOwn) {
  TestServer echo("127.0.0.1", [](tcp::socket& socket) {
    const auto all = read_all(socket);
    boost::asio::write(socket, boost::asio::buffer("got " + std::to_string(all.size()) + all.substr(0, 3)));
  });
  SpdyClient client(offer(), GetParam());
  ASSERT_EQ(client.status(), 101u);
  for (int round = 0; round < 3; ++round) {
    const auto pair = connect(client, echo.port(), std::to_string(round));
    for (int i = 0; i < 10; ++i) {
      client.send(pair.data, std::string(50'000, 'a'));
    }
    client.send(pair.data, "", true);
    EXPECT_EQ(client.read_stream(pair.data), "got 500000aaa");
    EXPECT_EQ(client.read_stream(pair.error), "");
  }
}

TEST_P(AnyFraming, LargeAnswers) {
  TestServer source("127.0.0.1", [](tcp::socket& socket) {
    boost::system::error_code error;
    boost::asio::write(socket, boost::asio::buffer(std::string(20 << 20, 'z')), error);
  });
  SpdyClient client(offer(), GetParam());
  const auto pair = connect(client, source.port(), "0");
  EXPECT_EQ(client.read_stream(pair.data).size(), size_t{20 << 20});
}

TEST_P(AnyFraming, NobodyListensIsTold) {
  std::string port;
  {
    boost::asio::io_context io;
    tcp::acceptor free(io, {boost::asio::ip::address_v4::loopback(), 0});
    port = std::to_string(free.local_endpoint().port());
  }
  SpdyClient client(offer(), GetParam());
  const auto pair = connect(client, port, "0");
  const auto text = client.read_stream(pair.error);
  EXPECT_THAT(text, HasSubstr("error forwarding port " + port +
                              " to pod pod1, uid : failed to execute portforward in "
                              "network namespace \"host\": failed to connect to localhost:" +
                              port));
  EXPECT_THAT(text, HasSubstr("dial tcp4 127.0.0.1:" + port + ": connect: connection refused"));
  EXPECT_TRUE(client.read_until([&] { return client.seen(pair.data).reset; }));
}

TEST_P(AnyFraming, ServerOnIPv6Only) {
  TestServer hello("::1", [](tcp::socket& socket) { boost::asio::write(socket, boost::asio::buffer("six", 3)); });
  SpdyClient client(offer(), GetParam());
  EXPECT_EQ(client.read_stream(connect(client, hello.port(), "0").data), "six");
}

// One server that does not read, within the bound, holds nobody else up.
TEST_F(PortForward, ForwardsAreApart) {
  std::promise<void> go_on;
  TestServer stalled("127.0.0.1", [&](tcp::socket& socket) {
    go_on.get_future().wait();
    const auto all = read_all(socket);
    boost::asio::write(socket, boost::asio::buffer(std::to_string(all.size())));
  });
  TestServer quick("127.0.0.1",
                   [](tcp::socket& socket) { boost::asio::write(socket, boost::asio::buffer(read_all(socket))); });
  SpdyClient client(offer(), kProtocol);
  const auto first = connect(client, stalled.port(), "0");
  client.send(first.data, std::string(100'000, 's'), true);
  const auto second = connect(client, quick.port(), "1");
  client.send(second.data, "quick", true);
  EXPECT_EQ(client.read_stream(second.data), "quick");
  go_on.set_value();
  EXPECT_EQ(client.read_stream(first.data), "100000");
}

TEST_F(PortForward, ResetClosesTheConnection) {
  LingeringServer server;
  SpdyClient client(offer(), kProtocol);
  const auto pair = connect(client, server.port(), "0");
  ASSERT_TRUE(client.read_until([&] { return !client.seen(pair.data).data.empty(); }));
  client.reset(pair.data);
  EXPECT_EQ(client.read_stream(pair.error), "");
  EXPECT_TRUE(server.has_ended());
}

TEST_F(PortForward, ResetWhileConnectingIsNoFailure) {
  std::promise<void> go_on;
  auto open = [waiting = go_on.get_future().share()](int) -> Result<Fd> {
    waiting.wait();
    return fail(Kind::unavailable, "nobody is there");
  };
  ForwardOffer offered{.sandbox = "pod1", .netns = "host", .open_socket = open};
  SpdyClient client(*server_->offer("portforward", std::move(offered)), kProtocol);
  const auto pair = connect(client, "80", "0");
  client.reset(pair.data);
  client.ping(1);  // answered when the reset has been read
  ASSERT_TRUE(client.read_until([&] { return client.pings().contains(1); }));
  go_on.set_value();
  EXPECT_EQ(client.read_stream(pair.error), "");
}

TEST_F(PortForward, LostClientClosesAllConnections) {
  LingeringServer server;
  SpdyClient client(offer(), kProtocol);
  const auto pair = connect(client, server.port(), "0");
  ASSERT_TRUE(client.read_until([&] { return !client.seen(pair.data).data.empty(); }));
  client.vanish();
  EXPECT_TRUE(server.has_ended());
}

TEST_F(PortForward, ServersStopClosesAllConnections) {
  LingeringServer server;
  SpdyClient client(offer(), kProtocol);
  const auto pair = connect(client, server.port(), "0");
  ASSERT_TRUE(client.read_until([&] { return !client.seen(pair.data).data.empty(); }));
  server_.reset();
  EXPECT_TRUE(server.has_ended());
  client.read_to_end();
}

TEST_F(PortForward, BadStreamsAreReset) {
  SpdyClient client(offer(), kProtocol);
  const auto no_port = client.open({{"streamtype", "data"}});
  const auto type = client.open({{"streamtype", "stdin"}, {"port", "80"}});
  const auto error = client.open({{"streamtype", "error"}, {"port", "80"}, {"requestid", "0"}});
  const auto twice = client.open({{"streamtype", "error"}, {"port", "80"}, {"requestid", "0"}});
  EXPECT_TRUE(client.read_until([&] {
    return client.seen(no_port).reset && client.seen(type).reset && client.seen(twice).reset &&
           !client.seen(error).data.empty();
  }));
  EXPECT_EQ(client.seen(error).data, "error processing stream for request 0: error stream already assigned");
  EXPECT_TRUE(client.seen(error).replied);
}

TEST_F(PortForward, HalfPairsExpire) {
  start({.creation = 50ms, .idle = 1h});
  SpdyClient client(offer(), kProtocol);
  const auto error = client.open({{"streamtype", "error"}, {"port", "80"}, {"requestid", "0"}});
  const auto data = client.open({{"streamtype", "data"}, {"port", "80"}, {"requestid", "1"}});
  EXPECT_EQ(client.read_stream(error), "timed out waiting for streams");
  EXPECT_TRUE(client.read_until([&] { return client.seen(data).reset; }));
}

TEST_F(PortForward, CommandProtocolsAreRefused) {
  SpdyClient client(offer(), "v4.channel.k8s.io");
  EXPECT_EQ(client.status(), 403u);
  EXPECT_EQ(client.header("X-Accepted-Stream-Protocol-Versions"), kProtocol);
}

}  // namespace
}  // namespace keelson::cri
