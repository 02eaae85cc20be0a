// SPDX-License-Identifier: Apache-2.0
#include "network/proxy_health.h"

#include <gtest/gtest.h>

namespace keelson::network {
namespace {

using std::chrono::seconds;

class ProxyHealthTest : public ::testing::Test {
 protected:
  static std::string show(const http::Response& response) {
    return std::to_string(response.status) + " " + response.body;
  }

  FakeClock clock_;
  ProxyHealth health_{clock_, seconds(60), {"IPv4", "IPv6"}};
};

TEST_F(ProxyHealthTest, IsHealthyWhileItStarts) {
  EXPECT_EQ(show(health_.healthz()),
            R"(200 {"lastUpdated":"2023-11-14T22:13:20.000000000Z","currentTime":"2023-11-14T22:13:20.000000000Z",)"
            R"("nodeEligible":true,"healthy":true})");
  health_.queued();
  clock_.advance(seconds(100));
  EXPECT_EQ(health_.livez().status, 200) << "the source has not told all, what is programmed goes on";
}

TEST_F(ProxyHealthTest, AChangeThatWaitsTooLongIsUnhealthy) {
  health_.updated();
  clock_.advance(seconds(10));
  health_.queued();
  clock_.advance(seconds(59));
  health_.queued();  // The first one counts.
  EXPECT_EQ(health_.livez().status, 200);
  clock_.advance(seconds(1));
  EXPECT_EQ(show(health_.livez()),
            R"(503 {"lastUpdated":"2023-11-14T22:13:20.000000000Z","currentTime":"2023-11-14T22:14:30.000000000Z",)"
            R"("healthy":false,"status":{"IPv4":{"lastUpdated":"2023-11-14T22:13:20.000000000Z","healthy":false},)"
            R"("IPv6":{"lastUpdated":"2023-11-14T22:13:20.000000000Z","healthy":false}}})");
  EXPECT_EQ(health_.healthz().status, 503);
  health_.updated();
  EXPECT_EQ(show(health_.livez()),
            R"(200 {"lastUpdated":"2023-11-14T22:14:30.000000000Z","currentTime":"2023-11-14T22:14:30.000000000Z",)"
            R"("healthy":true,"status":{"IPv4":{"lastUpdated":"2023-11-14T22:14:30.000000000Z","healthy":true},)"
            R"("IPv6":{"lastUpdated":"2023-11-14T22:14:30.000000000Z","healthy":true}}})");
  clock_.advance(std::chrono::hours(5));
  EXPECT_TRUE(health_.healthy()) << "nothing waits";
}

TEST_F(ProxyHealthTest, ANodeThatGoesGetsNoTrafficButLives) {
  health_.updated();
  health_.set_node_eligible(false);
  auto answer = health_.healthz();
  EXPECT_EQ(answer.status, 503);
  EXPECT_NE(answer.body.find(R"("nodeEligible":false,"healthy":true)"), std::string::npos) << answer.body;
  EXPECT_EQ(answer.type, "application/json");
  EXPECT_EQ(answer.headers.at(0), std::pair(std::string("X-Content-Type-Options"), std::string("nosniff")));
  auto live = health_.livez();
  EXPECT_EQ(live.status, 200);
  EXPECT_EQ(live.body.find("nodeEligible"), std::string::npos);
  Stats stats;
  health_.collect(stats);
  const auto& healthz = stats.families().at("kubeproxy_proxy_healthz_total").samples;
  EXPECT_EQ(healthz.at(0).value, 0);
  EXPECT_EQ(healthz.at(1).value, 1);
  EXPECT_EQ(stats.families().at("kubeproxy_proxy_livez_total").samples.at(0).value, 1);
}

}  // namespace
}  // namespace keelson::network
