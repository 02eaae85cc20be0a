// SPDX-License-Identifier: Apache-2.0
// Which pods are refused, and in which words.
#include "agent/cluster/admission.h"

#include <gtest/gtest.h>

#include <limits>

namespace keelson::agent {
namespace {

using kube::Quantity;

AdmissionNode node() {
  return {.name = "n1",
          .labels = {{"zone", "a"}, {"cores", "8"}, {"kubernetes.io/os", "linux"}},
          .taints = {},
          .allocatable = {{"cpu", Quantity::of(2)}, {"memory", Quantity::of(1000)}, {"pods", Quantity::of(3)}}};
}

kube::Pod pod(const std::string& cpu = "", const std::string& memory = "") {
  kube::Pod made;
  auto& container = made.spec.containers.emplace_back();
  container.name = "c";
  for (const auto& [name, text] : {std::pair{"cpu", cpu}, std::pair{"memory", memory}}) {
    if (!text.empty()) {
      container.resources.requests[name] = Quantity::parse(text).value();
    }
  }
  return made;
}

std::string refusal(const kube::Pod& wanted, const std::vector<kube::Pod>& others = {},
                    const AdmissionNode& at = node()) {
  std::vector<const kube::Pod*> pointers;
  for (const auto& other : others) {
    pointers.push_back(&other);
  }
  const auto refused = admit(wanted, pointers, at);
  return refused ? refused->reason + ": " + refused->message : "";
}

TEST(AdmissionTest, Resources) {
  EXPECT_EQ(refusal(pod("2", "1000")), "");
  EXPECT_EQ(refusal(pod("1500m"), {pod("600m")}),
            "OutOfcpu: Node didn't have enough resource: cpu, requested: 1500, used: 600, capacity: 2000");
  EXPECT_EQ(refusal(pod("", "600"), {pod("1", "401")}),
            "OutOfmemory: Node didn't have enough resource: memory, requested: 600, used: 401, capacity: 1000");
  EXPECT_EQ(refusal(pod(), {pod(), pod()}), "");
  EXPECT_EQ(refusal(pod(), {pod(), pod(), pod()}),
            "OutOfpods: Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3");
  auto wants = pod();
  wants.spec.containers[0].resources.requests["ephemeral-storage"] = Quantity::of(1);
  EXPECT_EQ(refusal(wants), "") << "the node does not say how much it has";
  wants.spec.containers[0].resources.requests["example.com/gpu"] = Quantity::of(1);
  EXPECT_EQ(refusal(wants), "") << "the cluster's, not the node's";
  wants.spec.containers[0].resources.requests["hugepages-2Mi"] = Quantity::of(2 << 20);
  EXPECT_EQ(refusal(wants),
            "OutOfhugepages-2Mi: Node didn't have enough resource: hugepages-2Mi, requested: 2097152, used: 0, "
            "capacity: 0");
}

TEST(AdmissionTest, WhatIsLackingIsNeverLessThanNothing) {
  auto wants = pod("9E", "9E");
  wants.spec.priority = 2'000'001'000;  // of a critical one
  const auto other = pod("3", "3E");
  const auto refused = admit(wants, {&other}, node());
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->shortage,
            (Shortage{{"cpu", std::numeric_limits<int64_t>::max()}, {"memory", std::numeric_limits<int64_t>::max()}}));
}

TEST(AdmissionTest, UnsafeSysctlsAreForbiddenUnlessAllowed) {
  auto wants = pod();
  wants.spec.security_context.sysctls.push_back({.name = "kernel.msgmax", .value = "8192"});
  EXPECT_EQ(refusal(wants), "SysctlForbidden: forbidden sysctl: \"kernel.msgmax\" not allowlisted");
  auto at = node();
  at.sysctls = SysctlAllowlist::make({"kernel.msg*"}).value();
  EXPECT_EQ(refusal(wants, {}, at), "");
}

TEST(AdmissionTest, NodeSelectorAndAffinity) {
  const std::string no =
      "NodeAffinity: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
  auto wants = pod();
  wants.spec.node_selector = {{"zone", "a"}};
  EXPECT_EQ(refusal(wants), "");
  wants.spec.node_selector = {{"zone", "b"}};
  EXPECT_EQ(refusal(wants), no);
  const auto with = [](const std::string& terms) {
    auto made = pod();
    made.spec.affinity.json =
        R"({"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[)" + terms + "]}}}";
    return made;
  };
  const auto expression = [](const std::string& text) { return R"({"matchExpressions":[)" + text + "]}"; };
  const std::string in_a = R"({"key":"zone","operator":"In","values":["x","a"]})";
  const std::string not_in_a = R"({"key":"zone","operator":"NotIn","values":["a"]})";
  EXPECT_EQ(refusal(with(expression(in_a))), "");
  EXPECT_EQ(refusal(with(expression(not_in_a))), no);
  EXPECT_EQ(refusal(with(expression(in_a + "," + not_in_a))), no) << "all of a term";
  EXPECT_EQ(refusal(with(expression(not_in_a) + "," + expression(in_a))), "") << "any of the terms";
  EXPECT_EQ(refusal(with(expression(R"({"key":"cores","operator":"Gt","values":["7"]})"))), "");
  EXPECT_EQ(refusal(with(expression(R"({"key":"cores","operator":"Lt","values":["8"]})"))), no);
  EXPECT_EQ(refusal(with(expression(R"({"key":"gone","operator":"DoesNotExist"})"))), "");
  EXPECT_EQ(refusal(with(expression(R"({"key":"gone","operator":"Exists"})"))), no);
  EXPECT_EQ(refusal(with(R"({"matchFields":[{"key":"metadata.name","operator":"In","values":["n1"]}]})")), "");
  EXPECT_EQ(refusal(with(R"({"matchFields":[{"key":"metadata.name","operator":"In","values":["n2"]}]})")), no);
  EXPECT_EQ(refusal(with("{}")), no) << "an empty term matches nothing";
  auto preferred = pod();
  preferred.spec.affinity.json = R"({"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[]}})";
  EXPECT_EQ(refusal(preferred), "");
}

TEST(AdmissionTest, HostPorts) {
  const auto on = [](int32_t port, const std::string& ip = "", kube::Protocol protocol = kube::Protocol::tcp) {
    auto made = pod();
    made.spec.containers[0].ports.push_back(
        {.name = "", .host_port = port, .container_port = 80, .protocol = protocol, .host_ip = ip});
    return made;
  };
  const std::string no =
      "NodePorts: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports";
  EXPECT_EQ(refusal(on(80), {on(81)}), "");
  EXPECT_EQ(refusal(on(80), {on(80)}), no);
  EXPECT_EQ(refusal(on(80), {on(80, "", kube::Protocol::udp)}), "");
  EXPECT_EQ(refusal(on(80, "10.0.0.1"), {on(80, "10.0.0.2")}), "");
  EXPECT_EQ(refusal(on(80, "10.0.0.1"), {on(80)}), no);
  EXPECT_EQ(refusal(on(0), {on(0)}), "");
}

TEST(AdmissionTest, TaintsThatExecute) {
  auto at = node();
  at.taints = {{.key = "k", .value = "v", .effect = "NoSchedule", .time_added = {}}};
  EXPECT_EQ(refusal(pod(), {}, at), "") << "a matter of the scheduler's";
  at.taints[0].effect = "NoExecute";
  EXPECT_EQ(refusal(pod(), {}, at),
            "TaintToleration: Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate");
  const auto tolerating = [&](const kube::Toleration& toleration) {
    auto made = pod();
    made.spec.tolerations = {toleration};
    return refusal(made, {}, at).empty();
  };
  EXPECT_TRUE(tolerating({.key = "k", .op = "Equal", .value = "v"}));
  EXPECT_TRUE(tolerating({.key = "k", .op = "", .value = "v", .effect = "NoExecute"}));
  EXPECT_TRUE(tolerating({.key = "k", .op = "Exists"}));
  EXPECT_TRUE(tolerating({.key = "", .op = "Exists"}));
  EXPECT_FALSE(tolerating({.key = "k", .op = "Equal", .value = "w"}));
  EXPECT_FALSE(tolerating({.key = "k", .op = "Exists", .value = "", .effect = "NoSchedule"}));
  EXPECT_FALSE(tolerating({.key = "other", .op = "Exists"}));
}

TEST(AdmissionTest, PressuresRefuseWhatMayBeEvicted) {
  const auto asks = pod("", "100");
  const auto best_effort = pod();
  auto tolerant = best_effort;
  tolerant.spec.tolerations = {{.key = "node.kubernetes.io/memory-pressure", .op = "Exists"}};
  auto critical = best_effort;
  critical.spec.priority = 2'000'000'000;
  auto at = node();
  at.pressures.memory = true;
  EXPECT_EQ(refusal(best_effort, {}, at), "Evicted: The node had condition: [MemoryPressure]. ");
  EXPECT_EQ(refusal(asks, {}, at), "");
  EXPECT_EQ(refusal(tolerant, {}, at), "");
  EXPECT_EQ(refusal(critical, {}, at), "");
  at.pressures.disk = true;
  EXPECT_EQ(refusal(tolerant, {}, at), "Evicted: The node had condition: [MemoryPressure DiskPressure]. ");
  at.pressures = {.pid = true};
  EXPECT_EQ(refusal(asks, {}, at), "Evicted: The node had condition: [PIDPressure]. ");
  EXPECT_EQ(refusal(critical, {}, at), "");
}

TEST(AdmissionTest, NothingBeginsOnANodeThatGoesDown) {
  auto at = node();
  at.shutting_down = true;
  EXPECT_EQ(refusal(pod(), {}, at), "NodeShutdown: Pod was rejected as the node is shutting down.");
}

TEST(AdmissionTest, GroupsAreStrictOnlyWhereTheRuntimeKnowsThem) {
  auto wants = pod();
  auto at = node();
  wants.spec.security_context.supplemental_groups_policy = kube::SupplementalGroupsPolicy::strict;
  EXPECT_EQ(refusal(wants, {}, at),
            "SupplementalGroupsPolicyNotSupported: SupplementalGroupsPolicy=Strict is not supported in this node");
  at.strict_groups = true;
  EXPECT_EQ(refusal(wants, {}, at), "");
  at.strict_groups = false;
  wants.spec.security_context.supplemental_groups_policy = kube::SupplementalGroupsPolicy::merge;
  EXPECT_EQ(refusal(wants, {}, at), "");
}

TEST(AdmissionTest, AppArmorIsEnforcedOrRefused) {
  auto wants = pod();
  auto at = node();
  const std::string text = "AppArmor: Cannot enforce AppArmor: AppArmor is not enabled on the host";
  wants.spec.security_context.app_armor_profile = {.type = kube::ProfileType::runtime_default};
  EXPECT_EQ(refusal(wants, {}, at), text);
  at.apparmor = true;
  EXPECT_EQ(refusal(wants, {}, at), "");
  at.apparmor = false;
  wants.spec.security_context.app_armor_profile = {.type = kube::ProfileType::unconfined};
  EXPECT_EQ(refusal(wants, {}, at), "");
  wants.spec.containers[0].security_context.emplace().app_armor_profile = {.type = kube::ProfileType::localhost,
                                                                           .localhost_profile = "mine"};
  EXPECT_EQ(refusal(wants, {}, at), text);
}

TEST(AdmissionTest, DynamicResourcesAreNotPassedOver) {
  auto wants = pod();
  wants.spec.resource_claims.json = "[]";
  EXPECT_EQ(refusal(wants), "");
  wants.spec.resource_claims.json = R"([{"name":"gpu","resourceClaimName":"gpu"}])";
  EXPECT_EQ(
      refusal(wants),
      "UnexpectedAdmissionError: spec.resourceClaims: this node has no dynamic resources, and no driver for them");
}

TEST(AdmissionTest, OperatingSystem) {
  auto wants = pod();
  wants.spec.os_name = "windows";
  EXPECT_EQ(refusal(wants), "PodOSNotSupported: Failed to admit pod as the OS field doesn't match node OS");
  wants.spec.os_name = "linux";
  EXPECT_EQ(refusal(wants), "");
  wants.spec.node_selector["kubernetes.io/os"] = "windows";
  EXPECT_EQ(refusal(wants).substr(0, 34), "PodOSSelectorNodeLabelDoesNotMatch");
}

}  // namespace
}  // namespace keelson::agent
