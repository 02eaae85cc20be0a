// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/healthz.h"

#include <gtest/gtest.h>

#include "agent/kubelet_api/fake_reviewer.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;

class HealthzTest : public ::testing::Test {
 protected:
  ~HealthzTest() override {
    group_.spawn("close", health_.close());
    loop_.run_until_idle();
  }
  /// While `agent_lives`, its loop runs.
  http::Response get(const std::string& target, bool agent_lives = true) {
    http::Response response;
    group_.spawn("get", ask(http::parse_target(target).value(), &response));
    for (int i = 0; i < 3; ++i) {
      loop_.run_until_idle();
      if (agent_lives) {
        agents_.run_until_idle();
      }
    }
    loop_.advance(clock_, 1s);
    return response;
  }
  Task<> ask(http::Target target, http::Response* into) {
    auto answered = co_await health_.answer({.method = "GET", .target = std::move(target)});
    *into = answered ? *std::move(answered) : http::error(answered.error());
    co_return Result<>();
  }

  FakeClock clock_;
  Loop agents_{clock_, "agent"};
  Loop loop_{clock_, "test"};
  Healthz health_{loop_, agents_};
  TaskGroup group_{loop_};
};

TEST_F(HealthzTest, AnswersAsTheKubelet) {
  EXPECT_EQ(get("/healthz").body, "ok");
  EXPECT_EQ(get("/healthz?verbose").body, "[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n");
  EXPECT_EQ(get("/healthz/ping").body, "ok");
  EXPECT_EQ(get("/healthz/syncloop").body, "ok");
  EXPECT_EQ(get("/healthz/other").status, 404);
}

TEST_F(HealthzTest, AnAgentThatIsStuckIsTold) {
  EXPECT_EQ(get("/healthz", false).body, "ok") << "busy is not stuck";
  loop_.advance(clock_, 118s);
  EXPECT_EQ(get("/healthz", false).body,
            "[+]ping ok\n[+]log ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n");
  EXPECT_EQ(get("/healthz/syncloop", false).status, 500);
  EXPECT_EQ(get("/healthz/ping", false).status, 200);
  Stats stats;
  health_.collect(stats);
  EXPECT_EQ(stats.families().at("kubernetes_healthcheck").samples.size(), 3U);
  EXPECT_EQ(get("/healthz").body, "ok") << "it lives again";
}

}  // namespace
}  // namespace keelson::agent
