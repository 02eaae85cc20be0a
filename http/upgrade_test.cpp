// SPDX-License-Identifier: Apache-2.0
// Upgrades passed on: heads, bytes both ways, ends of one direction, refusals.
#include "http/upgrade.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <thread>

#include "common/log.h"
#include "common/task_group.h"
#include "tests/support/tls_client.h"

namespace keelson::http {
namespace {

using boost::asio::ip::tcp;
using keelson::testing::TlsClient;

constexpr const char* kUpgrade = "Connection: Upgrade\r\nUpgrade: echo/1\r\nX-Stream-Protocol-Version: v4\r\n";

/// The other server: takes one connection, and does with it what the test says, on a thread of its own.
class Other {
 public:
  explicit Other(std::function<void(tcp::socket&, std::string head)> act)
      : acceptor_(io_, {boost::asio::ip::address_v4::loopback(), 0}) {
    thread_ = std::thread([this, act = std::move(act)] {
      boost::system::error_code error;
      tcp::socket socket(io_);
      acceptor_.accept(socket, error);
      if (!error) {
        act(socket, read_until(socket, "\r\n\r\n"));
      }
    });
  }
  ~Other() {
    // One that nobody asked waits still.
    boost::system::error_code ignored;
    tcp::socket wake(io_);
    wake.connect(acceptor_.local_endpoint(), ignored);
    wake.close(ignored);
    thread_.join();
  }
  std::string url() const {
    return fmt::format("http://127.0.0.1:{}/exec/ticket?x=1", acceptor_.local_endpoint().port());
  }

  static std::string read_until(tcp::socket& socket, const std::string& end) {
    std::string text;
    char byte = 0;
    boost::system::error_code error;
    while (!text.ends_with(end) && !error) {
      if (socket.read_some(boost::asio::buffer(&byte, 1), error) == 1) {
        text += byte;
      }
    }
    return text;
  }
  static void write(tcp::socket& socket, const std::string& text) {
    boost::system::error_code ignored;
    boost::asio::write(socket, boost::asio::buffer(text), ignored);
  }

 private:
  boost::asio::io_context io_;
  tcp::acceptor acceptor_;
  std::thread thread_;
};

class UpgradeTest : public ::testing::Test {
 protected:
  UpgradeTest() {
    log::set_level(log::Level::off);
    port_ = server_.listen_tcp("127.0.0.1", 0).value();
    tasks_.spawn("server", server_.run());
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~UpgradeTest() override {
    loop_.stop();
    thread_.join();
    tasks_.cancel();
    loop_.run_until_idle();
  }
  Task<Response> answer(Request request) {
    EXPECT_TRUE(request.wants_upgrade());
    co_return pass_upgrade(loop_, std::move(request), url_, idle_);
  }

  std::string url_;
  Duration idle_ = std::chrono::minutes(1);
  uint16_t port_ = 0;
  Loop loop_{real_clock(), "test"};
  TaskGroup tasks_{loop_};
  Server server_{loop_, "test", [this](Request request) { return answer(std::move(request)); }};
  std::thread thread_;
};

TEST_F(UpgradeTest, BytesGoBothWaysToTheEndOfEach) {
  std::string head, early, rest;
  Other other([&](tcp::socket& socket, std::string text) {
    head = std::move(text);
    Other::write(socket, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\nhello ");
    early = Other::read_until(socket, "early;");
    Other::write(socket, "you said " + early);
    rest = Other::read_until(socket, "never");  // to the client's end
    Other::write(socket, fmt::format(" and {} bytes more", rest.size()));
  });
  url_ = other.url();
  TlsClient client(port_);
  // What comes with the request is the other's, too.
  client.send(
      fmt::format("POST /exec/default/web/main?command=sh HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer "
                  "canary\r\n{}\r\nearly;",
                  kUpgrade));
  const auto begun = client.receive("early;");
  EXPECT_EQ(begun.find("HTTP/1.1 101 Switching Protocols\r\n"), 0U);
  EXPECT_TRUE(begun.ends_with("\r\n\r\nhello you said early;")) << begun;
  client.send(std::string(100'000, 'x'));
  client.lower().shutdown(tcp::socket::shutdown_send);
  EXPECT_EQ(client.receive(), " and 100000 bytes more");
  EXPECT_EQ(client.last(), boost::asio::error::eof);
  EXPECT_EQ(head.find("POST /exec/ticket?x=1 HTTP/1.1\r\nHost: 127.0.0.1:"), 0U) << head;
  EXPECT_NE(head.find("X-Stream-Protocol-Version: v4\r\n"), std::string::npos);
  EXPECT_EQ(head.find("canary"), std::string::npos) << "the client's credentials are not the other's";
  EXPECT_EQ(head.find("Host: node"), std::string::npos);
}

TEST_F(UpgradeTest, ARefusalIsPassedOn) {
  Other other([](tcp::socket& socket, const std::string&) {
    Other::write(
        socket, "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\nX-Why: protocol\r\n\r\n3\r\nno.\r\n0\r\n\r\n");
  });
  url_ = other.url();
  TlsClient client(port_);
  const auto answer = client.ask("GET /exec", "\1", kUpgrade);
  EXPECT_EQ(answer.find("HTTP/1.1 403 Forbidden\r\n"), 0U) << answer;
  EXPECT_NE(answer.find("X-Why: protocol\r\n"), std::string::npos);
  EXPECT_NE(answer.find("Content-Length: 3\r\n"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\r\n\r\nno.")) << answer;
}

TEST_F(UpgradeTest, AServerThatIsNotThereIsTold) {
  url_ = "http://127.0.0.1:1/exec/ticket";
  const auto answer = TlsClient(port_).ask("GET /exec", "\1", kUpgrade);
  EXPECT_EQ(answer.find("HTTP/1.1 502 Bad Gateway\r\n"), 0U) << answer;
  EXPECT_EQ(answer.find("ticket"), std::string::npos) << "the URL is an authority";
  url_ = "ftp://here/ticket";
  EXPECT_EQ(TlsClient(port_).ask("GET /exec", "\1", kUpgrade).find("HTTP/1.1 502 Bad Gateway\r\n"), 0U);
}

TEST_F(UpgradeTest, ASilentSessionEnds) {
  idle_ = std::chrono::milliseconds(1);
  Other other([](tcp::socket& socket, const std::string&) {
    Other::write(socket, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n");
    EXPECT_EQ(Other::read_until(socket, "never"), "") << "until it is closed";
  });
  url_ = other.url();
  TlsClient client(port_);
  EXPECT_TRUE(client.ask("GET /exec", "\1", kUpgrade).ends_with("\r\n\r\n"));
  EXPECT_EQ(client.last(), boost::asio::error::eof);
}

TEST_F(UpgradeTest, AClientThatIsGoneEndsTheOther) {
  std::promise<void> ended;
  Other other([&](tcp::socket& socket, const std::string&) {
    Other::write(socket, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n");
    Other::read_until(socket, "never");
    ended.set_value();
  });
  url_ = other.url();
  {
    TlsClient client(port_);
    client.ask("GET /exec", "\r\n\r\n", kUpgrade);
    client.lower().set_option(boost::asio::socket_base::linger(true, 0));  // broken, not ended
  }
  EXPECT_EQ(ended.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

}  // namespace
}  // namespace keelson::http
