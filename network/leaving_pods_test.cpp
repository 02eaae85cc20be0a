// SPDX-License-Identifier: Apache-2.0
#include "network/leaving_pods.h"

#include <gtest/gtest.h>

namespace keelson::network {
namespace {

using namespace std::chrono_literals;

kube::Pod make_pod(const std::string& name, const std::string& uid, const std::string& address) {
  kube::Pod pod;
  pod.metadata.ns = "n";
  pod.metadata.name = name;
  pod.metadata.uid = uid;
  pod.status.pod_ips = {address};
  return pod;
}

TEST(LeavingPodsTest, APodLeavesUntilItsAddressIsAnothers) {
  LeavingPods leaving;
  const auto web = make_pod("web-0", "u1", "10.1.0.1");
  leaving.leaves(web, true);
  EXPECT_EQ(leaving.pods(), (std::vector<dataplane::LeavingPod>{{"n", "web-0", {"10.1.0.1"}, false}}));
  EXPECT_FALSE(leaving.pod_changed(web, false, SteadyTime(1s)));
  EXPECT_FALSE(leaving.pod_changed(web, true, SteadyTime(2s)));
  // Slices may still name the old one when the next of its name is there.
  EXPECT_FALSE(leaving.pod_changed(make_pod("web-0", "u2", "10.1.0.2"), false, SteadyTime(3s)));
  EXPECT_EQ(leaving.pods().size(), 1u);
  EXPECT_TRUE(leaving.pod_changed(make_pod("db-0", "u3", "10.1.0.1"), false, SteadyTime(4s)));
  EXPECT_TRUE(leaving.pods().empty());
}

TEST(LeavingPodsTest, OnTheHostsNetworkTheNameTells) {
  LeavingPods leaving;
  auto web = make_pod("web-0", "u1", "192.0.2.1");
  web.spec.host_network = true;
  leaving.leaves(web, true);
  EXPECT_TRUE(leaving.pods().at(0).on_host_network);
  auto other = make_pod("db-0", "u2", "192.0.2.1");
  EXPECT_FALSE(leaving.pod_changed(other, false, SteadyTime(1s)));
  other.metadata.name = "web-0";
  EXPECT_TRUE(leaving.pod_changed(other, false, SteadyTime(1s)));
}

TEST(LeavingPodsTest, OneWhoseContainerIsStartedAnewComesBackOnceAllRun) {
  LeavingPods leaving;
  auto web = make_pod("web-0", "u1", "10.1.0.1");
  web.status.container_statuses.resize(2);
  web.status.container_statuses[0].state.running.emplace();
  web.status.container_statuses[1].state.running.emplace();
  leaving.leaves(web, false);
  auto ended = web;
  ended.status.container_statuses[1].state = {};
  ended.status.container_statuses[1].state.terminated.emplace();
  EXPECT_FALSE(leaving.pod_changed(ended, false, SteadyTime(1s)));
  EXPECT_FALSE(leaving.pod_changed(make_pod("db-0", "u2", "10.1.0.2"), false, SteadyTime(2s)));
  EXPECT_TRUE(leaving.pod_changed(web, false, SteadyTime(3s)));
  EXPECT_TRUE(leaving.pods().empty());
  // One that ends after all does not come back.
  leaving.leaves(web, false);
  leaving.leaves(web, true);
  EXPECT_FALSE(leaving.pod_changed(web, false, SteadyTime(4s)));
  EXPECT_EQ(leaving.pods().size(), 1u);
}

TEST(LeavingPodsTest, WhileTheContainerIsTakingItsLeaveThePodIsNotBack) {
  LeavingPods leaving;
  auto web = make_pod("web-0", "u1", "10.1.0.1");
  web.spec.termination_grace_period_seconds = 30;
  web.status.container_statuses.resize(1);
  web.status.container_statuses[0].state.running.emplace();
  web.status.container_statuses[0].container_id = "keelson://1";
  leaving.leaves(web, false);
  EXPECT_FALSE(leaving.pod_changed(web, false, SteadyTime(1s))) << "it has not ended yet";
  EXPECT_FALSE(leaving.pod_changed(web, false, SteadyTime(30s)));
  auto anew = web;
  anew.status.container_statuses[0].container_id = "keelson://2";
  EXPECT_TRUE(leaving.pod_changed(anew, false, SteadyTime(31s)));
  leaving.leaves(web, false);
  EXPECT_FALSE(leaving.pod_changed(web, false, SteadyTime(60s)));
  EXPECT_TRUE(leaving.pod_changed(web, false, SteadyTime(101s))) << "the kill was taken back";
}

TEST(LeavingPodsTest, NoneIsKeptForEver) {
  LeavingPods leaving;
  leaving.leaves(make_pod("web-0", "u1", "10.1.0.1"), true);
  EXPECT_FALSE(leaving.pod_changed(make_pod("web-0", "u1", "10.1.0.1"), true, SteadyTime(1min)));
  EXPECT_FALSE(leaving.pod_changed(make_pod("x", "u9", "10.1.0.9"), false, SteadyTime(11min)));
  EXPECT_TRUE(leaving.pod_changed(make_pod("x", "u9", "10.1.0.9"), false, SteadyTime(11min + 1s)));
  // One that has no address is no endpoint.
  auto pod = make_pod("web-0", "u1", "");
  pod.status.pod_ips.clear();
  leaving.leaves(pod, true);
  EXPECT_TRUE(leaving.pods().empty());
}

}  // namespace
}  // namespace keelson::network
