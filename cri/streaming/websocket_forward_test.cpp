// SPDX-License-Identifier: Apache-2.0
// Port forwarding over WebSocket messages, to servers of this process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "cri/streaming/forward_test_client.h"
#include "cri/streaming/server.h"
#include "cri/streaming/test_server.h"

namespace keelson::cri {
namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using testing::HasSubstr;

constexpr char kBinary[] = "v4.channel.k8s.io";
constexpr char kBase64[] = "v4.base64.channel.k8s.io";

// Says what it got up to a line's end, and closes.
void answer_line(tcp::socket& socket) {
  std::string line;
  boost::asio::read_until(socket, boost::asio::dynamic_buffer(line), '\n');
  boost::asio::write(socket, boost::asio::buffer("got " + line));
}

class WebSocketForward : public testing::Test {
 protected:
  void start(StreamingTimes times = {}) { server_ = *StreamingServer::start({.times = times}); }
  void SetUp() override { start(); }
  std::string offer(std::vector<uint16_t> ports = {}) {
    auto open = [](int family) -> Result<Fd> {
      return Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    };
    return *server_->offer(
        "portforward",
        ForwardOffer{.sandbox = "pod1", .netns = "host", .ports = std::move(ports), .open_socket = open});
  }
  // As the kubelet writes it: two bytes, lowest first.
  static std::string start_of(const TestServer& server) {
    const auto port = static_cast<unsigned>(std::stoi(server.port()));
    return {static_cast<char>(port & 0xff), static_cast<char>(port >> 8)};
  }
  std::unique_ptr<StreamingServer> server_;
};

TEST_F(WebSocketForward, OnePort) {
  TestServer server("127.0.0.1", answer_line);
  ForwardClient client(offer(), "?port=" + server.port(), kBinary);
  ASSERT_EQ(client.status(), 101u);
  EXPECT_EQ(client.protocol(), kBinary);
  EXPECT_EQ(client.read(0, 2), start_of(server));
  EXPECT_EQ(client.read(1, 2), start_of(server));
  client.send(std::string(1, 0) + "hel");
  client.send(std::string(1, 0) + "lo\n");
  EXPECT_EQ(client.read_to_end(0), start_of(server) + "got hello\n");
  EXPECT_EQ(client.read_to_end(1), start_of(server));
  EXPECT_EQ(client.error(), boost::beast::websocket::error::closed);
}

TEST_F(WebSocketForward, ManyPortsEachWithChannelsOfItsOwn) {
  TestServer first("127.0.0.1", answer_line), second("::1", answer_line), third("127.0.0.1", answer_line);
  ForwardClient client(offer(), "?port=" + first.port() + "," + second.port() + "&port=" + third.port(), kBinary);
  client.send(std::string(1, 4) + "three\n");
  client.send(std::string(1, 2) + "two\n");
  client.send(std::string(1, 3) + "nobody reads an error channel\n");
  client.send(std::string(1, 99) + "nor this\n");
  client.send(std::string(1, 0) + "one\n");
  EXPECT_EQ(client.read_to_end(0), start_of(first) + "got one\n");
  EXPECT_EQ(client.read_to_end(2), start_of(second) + "got two\n");
  EXPECT_EQ(client.read_to_end(4), start_of(third) + "got three\n");
}

TEST_F(WebSocketForward, Base64) {
  TestServer server("127.0.0.1", answer_line);
  ForwardClient client(offer({static_cast<uint16_t>(std::stoi(server.port()))}), "", kBase64);
  EXPECT_EQ(client.protocol(), kBase64);
  client.send("0aGVsbG8K");                                                     // hello\n
  EXPECT_THAT(client.read_to_end('0'), testing::EndsWith("Z290IGhlbGxvCg=="));  // got hello\n
  EXPECT_FALSE(client.binary());
  EXPECT_EQ(client.read_to_end('1').size(), 4u);
  ForwardClient wrong(offer({1}), "", kBase64);
  wrong.send("0%%%");
  wrong.read_to_end('0');
  EXPECT_TRUE(wrong.error());
}

TEST_F(WebSocketForward, NoProtocolIsTheBinaryOneAndOurPortsGoBeforeTheQuery) {
  TestServer server("127.0.0.1", answer_line);
  ForwardClient client(offer({static_cast<uint16_t>(std::stoi(server.port()))}), "?port=1", "");
  ASSERT_EQ(client.status(), 101u);
  EXPECT_EQ(client.protocol(), "");
  client.send(std::string(1, 0) + "plain\n");
  EXPECT_EQ(client.read_to_end(0), start_of(server) + "got plain\n");
}

TEST_F(WebSocketForward, NobodyListensIsTold) {
  std::string port;
  {
    TestServer gone("127.0.0.1", answer_line);
    port = gone.port();
  }
  ForwardClient client(offer(), "?port=" + port, kBinary);
  EXPECT_THAT(client.read_to_end(1).substr(2),
              testing::AllOf(testing::StartsWith("error forwarding port " + port + " to pod pod1, uid : "),
                             HasSubstr("dial tcp4 127.0.0.1:" + port + ": connect: connection refused")));
  EXPECT_EQ(client.read_to_end(0).size(), 2u);
  EXPECT_EQ(client.error(), boost::beast::websocket::error::closed);
}

TEST_F(WebSocketForward, BadQuestionsAreRefusedInWords) {
  for (const auto* query : {"", "?port=", "?port=0", "?port=65536", "?port=80x", "?port=80,,81", "?ports=80"}) {
    ForwardClient client(offer(), query, kBinary);
    EXPECT_EQ(client.status(), 400u) << query;
    EXPECT_THAT(client.body(), HasSubstr("port")) << query;
  }
  ForwardClient many(offer(std::vector<uint16_t>(40, 80)), "", kBinary);
  EXPECT_EQ(many.status(), 400u);
  EXPECT_EQ(ForwardClient(offer(), "?port=80", "v5.channel.k8s.io").status(), 400u);
}

TEST_F(WebSocketForward, LargeAnswersAndALateReader) {
  TestServer source("127.0.0.1", [](tcp::socket& socket) {
    boost::system::error_code error;
    boost::asio::write(socket, boost::asio::buffer(std::string(20 << 20, 'z')), error);
  });
  ForwardClient client(offer(), "?port=" + source.port(), kBinary);
  EXPECT_EQ(client.read_to_end(0).size(), size_t{20 << 20} + 2);
}

TEST_F(WebSocketForward, LostClientClosesTheConnection) {
  std::promise<void> ended;
  TestServer server("127.0.0.1", [&](tcp::socket& socket) {
    boost::asio::write(socket, boost::asio::buffer("x", 1));
    read_all(socket);
    ended.set_value();
  });
  ForwardClient client(offer(), "?port=" + server.port(), kBinary);
  ASSERT_EQ(client.read(0, 3).size(), 3u);
  client.vanish();
  EXPECT_EQ(ended.get_future().wait_for(10s), std::future_status::ready);
}

TEST_F(WebSocketForward, SilenceEndsIt) {
  start({.idle = 50ms});
  TestServer server("127.0.0.1", [](tcp::socket& socket) { read_all(socket); });
  ForwardClient client(offer(), "?port=" + server.port(), kBinary);
  client.read_to_end(0);
  EXPECT_TRUE(client.error());
}

}  // namespace
}  // namespace keelson::cri
