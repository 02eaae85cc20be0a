// SPDX-License-Identifier: Apache-2.0
// What the node's threads count together.
#include "agent/node/node_stats.h"

#include <gtest/gtest.h>

#include <cmath>

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;

constexpr WallTime kBoot{1'700'000'000s};

double value(const Stats& stats, const std::string& name) {
  const auto found = stats.families().find(name);
  return found == stats.families().end() ? std::nan("") : found->second.samples.at(0).value;
}

TEST(StartupStats, TellHowANewNodeCameToBe) {
  StartupStats startup(kBoot, kBoot + 20s);
  startup.asked_to_register(kBoot + 22s);
  startup.asked_to_register(kBoot + 23s);
  Stats early;
  startup.collect(early);
  EXPECT_TRUE(early.families().empty());
  startup.registered(kBoot + 25s);
  startup.ready(kBoot + 30s);
  startup.ready(kBoot + 300s);
  Stats told;
  startup.collect(told);
  EXPECT_EQ(value(told, "kubelet_node_startup_pre_kubelet_duration_seconds"), 20);
  EXPECT_EQ(value(told, "kubelet_node_startup_pre_registration_duration_seconds"), 2);
  EXPECT_EQ(value(told, "kubelet_node_startup_registration_duration_seconds"), 3);
  EXPECT_EQ(value(told, "kubelet_node_startup_post_registration_duration_seconds"), 5);
  EXPECT_EQ(value(told, "kubelet_node_startup_duration_seconds"), 30);
}

TEST(StartupStats, TellNothingOfANodeThatWasThereBefore) {
  StartupStats startup(kBoot, kBoot + 20s);
  startup.asked_to_register(kBoot + 22s);
  startup.ready(kBoot + 30s);
  Stats told;
  startup.collect(told);
  EXPECT_TRUE(told.families().empty());
}

TEST(NodeStats, TellOfCertificatesThatAreKept) {
  FakeClock clock;
  NodeStats stats(clock);
  Stats none;
  stats.collect(none);
  EXPECT_FALSE(none.families().contains("kubelet_certificate_manager_client_ttl_seconds"));
  stats.client_certificate().kept(std::nullopt);
  stats.serving_certificate().kept(std::nullopt);
  Stats waiting;
  stats.collect(waiting);
  EXPECT_TRUE(std::isinf(value(waiting, "kubelet_certificate_manager_client_ttl_seconds")));
  stats.client_certificate().kept(clock.wall() + 90min);
  stats.client_certificate().renewal_failed();
  clock.advance(30min);
  Stats told;
  stats.collect(told);
  EXPECT_EQ(value(told, "kubelet_certificate_manager_client_ttl_seconds"), 3600);
  EXPECT_EQ(value(told, "kubelet_certificate_manager_client_expiration_renew_errors"), 1);
  EXPECT_EQ(value(told, "kubelet_server_expiration_renew_errors"), 0);
}

}  // namespace
}  // namespace keelson::agent
