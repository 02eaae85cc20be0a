// SPDX-License-Identifier: Apache-2.0
#include "agent/hooks.h"

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include "agent/small_world.h"
#include "common/task_group.h"

namespace keelson::agent {
namespace {

using asio::ip::tcp;

/// A web server that gives every request the same answer and keeps what it was asked.
class HookTest : public ::testing::Test {
 protected:
  HookTest() { tasks_.spawn("serve", serve()); }

  Task<> serve() {
    while (true) {
      auto [error, socket] = co_await acceptor_.async_accept(use_result);
      if (error) {
        co_return fail(Kind::cancelled, "closed");
      }
      std::string asked(4096, '\0');  // one read: a TLS greeting has no lines to wait for
      auto [unread, size] = co_await socket.async_read_some(asio::buffer(asked), use_result);
      asked.resize(size);
      asked_.push_back(asked.substr(0, asked.find("\r\n")));
      whole_ += asked;
      co_await asio::async_write(socket, asio::buffer(answer_), use_result);
    }
  }
  Task<> ask(HookCall call) {
    outcome_ = co_await run_hook(loop_, world_, std::move(call));
    loop_.stop();
    co_return Result<>();
  }
  Result<> run(kube::HttpGetAction get, std::optional<int32_t> port_number = std::nullopt) {
    HookCall call{.handler = {}, .container = {}, .id = "c1", .pod_ip = "127.0.0.1", .limit = std::chrono::seconds(5)};
    kube::ContainerPort port;
    port.name = "admin";
    port.container_port = port_number.value_or(acceptor_.local_endpoint().port());
    call.container.ports = {port};
    call.handler.http_get = std::move(get);
    call.fell_back = [this](std::string text) { fell_back_ = std::move(text); };
    tasks_.spawn("hook", ask(std::move(call)));
    loop_.run();
    loop_.io().restart();
    return outcome_;
  }

  Loop loop_{real_clock(), "test"};
  SmallWorld world_{loop_};
  tcp::acceptor acceptor_{loop_.io(), tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::string answer_ = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
  std::vector<std::string> asked_;
  std::string whole_;
  std::string fell_back_;
  Result<> outcome_;
  TaskGroup tasks_{loop_};
};

TEST_F(HookTest, AnyAnswerIsSuccessAsWithTheKubelet) {
  kube::HttpGetAction get;
  get.path = "/stop?now=1";
  get.port = kube::IntOrString("admin");
  get.http_headers = {{"X-Reason", "end"}};
  auto done = run(get);
  EXPECT_TRUE(done) << done.error().message();
  EXPECT_EQ(asked_, (std::vector<std::string>{"GET /stop?now=1 HTTP/1.1"}));
  EXPECT_NE(whole_.find("X-Reason: end"), std::string::npos);
  EXPECT_NE(whole_.find("User-Agent: kube-lifecycle/"), std::string::npos);
}

TEST_F(HookTest, NamesAreResolved) {
  kube::HttpGetAction get;
  get.host = "localhost";
  get.port = kube::IntOrString("admin");
  auto done = run(get);
  EXPECT_TRUE(done) << done.error().message();
  EXPECT_EQ(asked_.size(), 1U);
}

TEST_F(HookTest, HttpsAnsweredByHttpIsAskedAgainByHttp) {
  kube::HttpGetAction get;
  get.scheme = kube::UriScheme::https;
  get.path = "/stop";
  get.port = kube::IntOrString("admin");
  get.http_headers = {{"authorization", "Bearer secret"}, {"X-Reason", "end"}};
  auto done = run(get);
  EXPECT_TRUE(done) << done.error().message();
  EXPECT_EQ(asked_.back(), "GET /stop HTTP/1.1");
  EXPECT_NE(whole_.find("X-Reason: end"), std::string::npos);
  EXPECT_EQ(whole_.find("Bearer"), std::string::npos) << "no secrets in the clear";
  EXPECT_EQ(fell_back_.substr(0, 38), "request to HTTPS lifecycle hook 127.0.");
}

TEST_F(HookTest, AnUnknownPortAndNobodyThereAreErrors) {
  kube::HttpGetAction get;
  get.port = kube::IntOrString("nope");
  auto unknown = run(get);
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message().find("parsing \"nope\""), std::string::npos) << unknown.error().message();
  get.port = kube::IntOrString("admin");
  tcp::acceptor bound(loop_.io(), tcp::v4());
  bound.bind(tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  ASSERT_FALSE(run(get, bound.local_endpoint().port())) << "nobody listens there";
}

}  // namespace
}  // namespace keelson::agent
