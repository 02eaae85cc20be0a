// SPDX-License-Identifier: Apache-2.0
#include "network/derived_slices.h"

#include <gtest/gtest.h>

namespace keelson::network {
namespace {

kube::Service web() {
  kube::Service service;
  service.metadata = {.name = "web", .ns = "shop"};
  service.cluster_ips = {"10.0.0.1"};
  service.selector = {{"app", "web"}};
  service.ports.push_back({.name = "http", .port = 80, .target_port = {"http"}});
  service.ports.push_back({.name = "dns", .protocol = kube::Protocol::udp, .port = 53, .target_port = {5353}});
  return service;
}

kube::Pod pod(const std::string& name, const std::string& ip, int32_t http_port = 8080) {
  kube::Pod pod;
  pod.metadata = {.name = name, .ns = "shop", .labels = {{"app", "web"}}};
  pod.spec.containers.push_back({.ports = {{.name = "http", .container_port = http_port}}});
  pod.status.phase = kube::PodPhase::running;
  pod.status.pod_ips = {ip};
  pod.status.conditions.push_back({.type = "Ready", .status = kube::ConditionStatus::true_status});
  return pod;
}

// "web-ipv4-1 http=8080 dns=5353: 10.1.0.1 ready serving", a line each.
std::string slices(const kube::Service& service, const std::vector<kube::Pod>& pods) {
  std::map<std::string, kube::Pod> by_name;
  for (const auto& one : pods) {
    by_name[one.metadata.ns + "/" + one.metadata.name] = one;
  }
  std::string text;
  for (const auto& slice : derive_slices(service, by_name, "here")) {
    text += slice.metadata.name;
    for (const auto& port : slice.ports) {
      text += " " + port.name + "=" + std::to_string(*port.port);
    }
    for (const auto& endpoint : slice.endpoints) {
      EXPECT_EQ(endpoint.node_name, "here");
      text += ": " + endpoint.addresses.at(0) + (*endpoint.ready ? " ready" : "") +
              (*endpoint.serving ? " serving" : "") + (*endpoint.terminating ? " terminating" : "");
    }
    text += "\n";
  }
  return text;
}

TEST(DerivedSlicesTest, ReadyPodsServe) {
  EXPECT_EQ(slices(web(), {pod("a", "10.1.0.1"), pod("b", "10.1.0.2")}),
            "web-ipv4-1 http=8080 dns=5353: 10.1.0.1 ready serving: 10.1.0.2 ready serving\n");
  EXPECT_EQ(slices(web(), {}), "");
}

TEST(DerivedSlicesTest, ANamedPortMayDifferByPod) {
  EXPECT_EQ(slices(web(), {pod("a", "10.1.0.1"), pod("b", "10.1.0.2", 9090)}),
            "web-ipv4-1 http=8080 dns=5353: 10.1.0.1 ready serving\n"
            "web-ipv4-2 http=9090 dns=5353: 10.1.0.2 ready serving\n");
}

TEST(DerivedSlicesTest, ConditionsAreThePods) {
  auto terminating = pod("a", "10.1.0.1"), unready = pod("b", "10.1.0.2"), ended = pod("c", "10.1.0.3");
  terminating.metadata.deletion_timestamp = WallTime();
  unready.status.conditions.clear();
  ended.status.phase = kube::PodPhase::succeeded;
  EXPECT_EQ(slices(web(), {terminating, unready, ended}),
            "web-ipv4-1 http=8080 dns=5353: 10.1.0.1 serving terminating: 10.1.0.2\n");
  auto early = web();
  early.publish_not_ready_addresses = true;
  EXPECT_EQ(slices(early, {unready}), "web-ipv4-1 http=8080 dns=5353: 10.1.0.2 ready\n");
}

TEST(DerivedSlicesTest, OthersAreNoEndpoints) {
  auto elsewhere = pod("a", "10.1.0.1"), other = pod("b", "10.1.0.2"), new_one = pod("c", "");
  elsewhere.metadata.ns = "market";
  other.metadata.labels = {{"app", "db"}};
  new_one.status.pod_ips.clear();
  EXPECT_EQ(slices(web(), {elsewhere, other, new_one}), "");
  auto by_hand = web();
  by_hand.selector.clear();
  EXPECT_EQ(slices(by_hand, {pod("a", "10.1.0.1")}), "");
}

TEST(DerivedSlicesTest, FollowTheServicesFamilies) {
  auto dual = web();
  auto both = pod("a", "10.1.0.1");
  both.status.pod_ips.emplace_back("fd01::1");
  EXPECT_EQ(slices(dual, {both}), "web-ipv4-1 http=8080 dns=5353: 10.1.0.1 ready serving\n");
  dual.cluster_ips.emplace_back("fd00::1");
  EXPECT_EQ(slices(dual, {both}),
            "web-ipv4-1 http=8080 dns=5353: 10.1.0.1 ready serving\n"
            "web-ipv6-1 http=8080 dns=5353: fd01::1 ready serving\n");
}

}  // namespace
}  // namespace keelson::network
