// SPDX-License-Identifier: Apache-2.0
// The listeners over real sockets of the loopback.
#include "network/service_health.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "common/fd.h"

namespace keelson::network {
namespace {

TEST(ServiceHealthTest, SaysWhatALoadBalancerWantsToKnow) {
  auto some = service_health({"default", "web", 2}, true);
  EXPECT_EQ(some.status, 200);
  EXPECT_EQ(some.body,
            "{\n\t\"service\": {\n\t\t\"namespace\": \"default\",\n\t\t\"name\": \"web\"\n\t},\n\t\"localEndpoints\": "
            "2,\n\t\"serviceProxyHealthy\": true\n}");
  EXPECT_EQ(some.headers.at(1), std::pair(std::string("X-Load-Balancing-Endpoint-Weight"), std::string("2")));
  EXPECT_EQ(service_health({"default", "web", 0}, true).status, 503);
  auto ill = service_health({"default", "web", 2}, false);
  EXPECT_EQ(ill.status, 503);
  EXPECT_NE(ill.body.find("\"serviceProxyHealthy\": false"), std::string::npos);
}

class ServiceHealthPortsTest : public ::testing::Test {
 protected:
  ServiceHealthPortsTest() {
    auto taken = loopback();
    port_ = port_of(taken);  // free again, for a while
  }
  ~ServiceHealthPortsTest() override {
    TaskGroup stopping(loop_);
    stopping.spawn("close", ports_.close());
    loop_.run_until_idle();
  }

  static Fd loopback(uint16_t port = 0) {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd.get(), 1), 0);
    return fd;
  }
  static uint16_t port_of(const Fd& fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    return ntohs(address.sin_port);
  }
  // The first line of the answer, or why there is none.
  std::string ask() {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port_), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      return strerror(errno);
    }
    EXPECT_TRUE(write_all(fd.get(), "GET /any/path HTTP/1.1\r\nHost: x\r\n\r\n"));
    std::string answer;
    char piece[4096];
    for (int tries = 0; tries < 200; tries++) {
      loop_.run_until_idle();
      auto size = ::recv(fd.get(), piece, sizeof piece, MSG_DONTWAIT);
      if (size > 0) {
        answer.append(piece, static_cast<size_t>(size));
      } else if (size == 0) {
        return answer.substr(0, answer.find("\r\n"));
      }
    }
    return "no answer";
  }
  void sync(const std::map<uint16_t, dataplane::HealthCheck>& checks, const char* host = "127.0.0.1") {
    ports_.sync(checks, {host});
    loop_.run_until_idle();
  }

  uint16_t port_ = 0;
  bool healthy_ = true;
  FakeClock clock_;
  Loop loop_{clock_, "test"};
  ServiceHealthPorts ports_{loop_, [this] { return healthy_; }};
};

TEST_F(ServiceHealthPortsTest, ComeAndGoWithTheModel) {
  sync({{port_, {"default", "web", 1}}});
  EXPECT_EQ(ask(), "HTTP/1.1 200 OK");
  sync({{port_, {"default", "web", 0}}});
  EXPECT_EQ(ask(), "HTTP/1.1 503 Service Unavailable");
  sync({{port_, {"default", "other", 3}}});
  EXPECT_EQ(ask(), "HTTP/1.1 200 OK");
  healthy_ = false;
  EXPECT_EQ(ask(), "HTTP/1.1 503 Service Unavailable");
  sync({});
  EXPECT_EQ(ask(), strerror(ECONNREFUSED));
}

TEST_F(ServiceHealthPortsTest, AreFreeAtOnce) {
  sync({{port_, {"default", "web", 1}}});
  ports_.sync({}, {"127.0.0.1"});
  loopback(port_);  // fails the test if it cannot
  sync({{port_, {"default", "web", 1}}}, "0.0.0.0");
  EXPECT_EQ(ask(), "HTTP/1.1 200 OK");
  sync({{port_, {"default", "web", 1}}}, "127.0.0.1");
  EXPECT_EQ(ask(), "HTTP/1.1 200 OK") << "on another address of the same port";
}

TEST_F(ServiceHealthPortsTest, ATakenPortIsTriedAgain) {
  auto taken = loopback(port_);
  sync({{port_, {"default", "web", 1}}});
  taken.reset();
  EXPECT_EQ(ask(), strerror(ECONNREFUSED));
  loop_.advance(clock_, std::chrono::seconds(5));
  EXPECT_EQ(ask(), "HTTP/1.1 200 OK");
}

}  // namespace
}  // namespace keelson::network
