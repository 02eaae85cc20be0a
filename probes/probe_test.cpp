// SPDX-License-Identifier: Apache-2.0
// Tries against real servers on loopback.
#include "probes/probe.h"

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include "common/task_group.h"

namespace keelson::probes {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;

class ProbeTest : public ::testing::Test {
 protected:
  ProbeTest() : acceptor_(loop_.io(), {asio::ip::address_v4::loopback(), 0}), group_(loop_) {}

  /// Answers each connection with the next response (the last repeats), or with nothing if it is empty.
  Task<> serve(std::vector<std::string> responses) {
    for (size_t i = 0;; i = std::min(i + 1, responses.size() - 1)) {
      auto [error, socket] = co_await acceptor_.async_accept(use_result);
      if (error) {
        co_return Result<>();
      }
      std::string request;
      co_await asio::async_read_until(socket, asio::dynamic_buffer(request), "\r\n\r\n", use_result);
      requests_.push_back(request);
      if (responses[i].empty()) {
        kept_.push_back(std::move(socket));  // open and silent
        continue;
      }
      co_await asio::async_write(socket, asio::buffer(responses[i]), use_result);
    }
  }

  Task<> run_try(Target target, Duration limit, RunCommand run) {
    result_ = co_await try_once(loop_, std::move(target), limit, std::move(run));
    loop_.stop();
    co_return Result<>();
  }

  TryResult run(Target target, Duration limit = 2s, RunCommand command = nullptr) {
    group_.spawn("try", run_try(std::move(target), limit, std::move(command)));
    loop_.run();
    loop_.io().restart();
    return result_;
  }

  TryResult http(const std::vector<std::string>& responses, Target target = {}, Duration limit = 2s) {
    group_.spawn("server", serve(responses));
    target.host = "127.0.0.1";
    target.port = acceptor_.local_endpoint().port();
    return run(target, limit);
  }

  Loop loop_{real_clock(), "test"};
  tcp::acceptor acceptor_;
  std::vector<std::string> requests_;
  std::vector<tcp::socket> kept_;
  TryResult result_;
  TaskGroup group_;
};

std::string response(int status, const std::string& headers = "") {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: 0\r\n" + headers + "\r\n";
}

TEST_F(ProbeTest, HttpSendsTheKubeletsRequest) {
  Target target;
  target.path = "/healthz?x=1";
  target.headers = {{"X-Custom-Header", "Awesome"}, {"Host", "example.com"}, {"Accept", ""}};
  EXPECT_EQ(http({response(200)}, target).outcome, Outcome::success);
  ASSERT_EQ(requests_.size(), 1U);
  EXPECT_TRUE(requests_[0].starts_with("GET /healthz?x=1 HTTP/1.1\r\n")) << requests_[0];
  for (const char* line : {"Host: example.com\r\n", "User-Agent: kube-probe/1.34\r\n", "X-Custom-Header: Awesome\r\n",
                           "Connection: close\r\n"}) {
    EXPECT_NE(requests_[0].find(line), std::string::npos) << line << requests_[0];
  }
  EXPECT_EQ(requests_[0].find("Accept"), std::string::npos);
}

TEST_F(ProbeTest, HttpStatuses) {
  EXPECT_EQ(http({response(399)}).outcome, Outcome::success);
}

TEST_F(ProbeTest, HttpFailureNamesTheStatus) {
  auto result = http({response(500)});
  EXPECT_EQ(result.outcome, Outcome::failure);
  EXPECT_EQ(result.text, "HTTP probe failed with statuscode: 500");
}

TEST_F(ProbeTest, RedirectsOnTheSameHostAreFollowed) {
  auto result = http({response(302, "Location: /other\r\n"), response(503)});
  EXPECT_EQ(result.text, "HTTP probe failed with statuscode: 503");
  ASSERT_EQ(requests_.size(), 2U);
  EXPECT_TRUE(requests_[1].starts_with("GET /other "));
}

TEST_F(ProbeTest, RedirectsToAnotherHostAreSuccess) {
  const auto result = http({"HTTP/1.1 302 X\r\nLocation: http://192.0.2.1/\r\nContent-Length: 5\r\n\r\nthere"});
  EXPECT_EQ(result.outcome, Outcome::success);
  EXPECT_EQ(result.warning, "Probe terminated redirects, Response body: there");
  EXPECT_EQ(requests_.size(), 1U);
}

TEST_F(ProbeTest, RedirectsEndAfterTen) {
  auto result = http({response(302, "Location: /again\r\n")});
  EXPECT_EQ(result.outcome, Outcome::failure);
  EXPECT_EQ(requests_.size(), 11U);
}

TEST_F(ProbeTest, HeadersMayBeLong) {
  EXPECT_EQ(http({response(200, "X-Long: " + std::string(50'000, 'x') + "\r\n")}).outcome, Outcome::success);
}

TEST_F(ProbeTest, ABodyMayBeOfAnyLength) {
  const std::string head = " X\r\nContent-Length: 50000\r\n";
  EXPECT_EQ(http({"HTTP/1.1 200" + head + "\r\n" + std::string(50'000, 'x')}).outcome, Outcome::success);
}

TEST_F(ProbeTest, OfARedirectsBodyTheBeginIsTold) {
  const auto result = http(
      {"HTTP/1.1 302 X\r\nContent-Length: 50000\r\nLocation: http://192.0.2.1/\r\n\r\n" + std::string(50'000, 'x')});
  EXPECT_EQ(result.outcome, Outcome::success);
  EXPECT_EQ(std::ranges::count(result.warning, 'x'), std::ptrdiff_t{10 * 1024});
}

TEST_F(ProbeTest, HeadersWithoutAnEndAreAFailure) {
  const auto result = http({response(200, "X-Long: " + std::string(300'000, 'x') + "\r\n")});
  EXPECT_EQ(result.outcome, Outcome::failure) << result.text;
}

TEST_F(ProbeTest, WithoutATargetThereIsOnlyAnError) {
  Target target;
  target.error = "invalid port number: 0";
  const auto result = run(target);
  EXPECT_EQ(result.outcome, Outcome::error);
  EXPECT_EQ(result.text, "invalid port number: 0");
}

TEST_F(ProbeTest, HttpTimesOutOnASilentServer) {
  auto result = http({""}, {}, 50ms);
  EXPECT_EQ(result.outcome, Outcome::failure);
  EXPECT_NE(result.text.find("context deadline exceeded (Client.Timeout exceeded while awaiting headers)"),
            std::string::npos)
      << result.text;
}

TEST_F(ProbeTest, RefusedConnections) {
  auto port = acceptor_.local_endpoint().port();
  acceptor_.close();
  Target target;
  target.host = "127.0.0.1";
  target.port = port;
  EXPECT_EQ(run(target).text, "Get \"http://127.0.0.1:" + std::to_string(port) +
                                  "/\": dial tcp 127.0.0.1:" + std::to_string(port) + ": connect: connection refused");
  target.handler = Handler::tcp;
  EXPECT_EQ(run(target).outcome, Outcome::failure);
}

TEST_F(ProbeTest, TcpOpensAndGrpcNeedsAGrpcServer) {
  Target target;
  target.host = "127.0.0.1";
  target.port = acceptor_.local_endpoint().port();
  target.handler = Handler::tcp;
  EXPECT_EQ(run(target).outcome, Outcome::success);
  target.handler = Handler::grpc;
  EXPECT_EQ(run(target, 200ms).outcome, Outcome::failure);
}

Task<CommandOutcome> answer_command(std::vector<std::string> command, Duration) {
  if (command[0] == "slow") {
    co_return fail(Kind::timeout, "late");
  }
  if (command[0] == "broken") {
    co_return fail(Kind::unavailable, "the runtime is away");
  }
  co_return CommandOutcome{command[0] == "true" ? 0 : 1, "output"};
}

TEST_F(ProbeTest, CommandsByExitCode) {
  Target target;
  target.handler = Handler::exec;
  target.command = {"true"};
  EXPECT_EQ(run(target, 1s, answer_command).outcome, Outcome::success);
  target.command = {"false"};
  EXPECT_EQ(run(target, 1s, answer_command).text, "output");
  target.command = {"slow", "x"};
  EXPECT_EQ(run(target, 1s, answer_command).text, "command timed out: \"slow x\" timed out after 1s");
  target.command = {"broken"};
  EXPECT_EQ(run(target, 1s, answer_command).outcome, Outcome::error);
}

}  // namespace
}  // namespace keelson::probes
