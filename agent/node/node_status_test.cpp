// SPDX-License-Identifier: Apache-2.0
// The Node that is made of a machine, its runtime and its configuration.
#include "agent/node/node_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using kube::ConditionStatus;
using ::testing::ElementsAre;

constexpr WallTime kNow{std::chrono::seconds(1'700'000'000)};

NodeSettings settings() {
  NodeSettings settings;
  settings.name = "n1";
  settings.kubelet_version = "v1.34.4+keelson.1";
  settings.port = 10250;
  return settings;
}

NodeView view() {
  NodeView view;
  view.ips = {"10.0.0.1", "fd00::1"};
  view.machine.architecture = "amd64";
  view.machine.cpus = 2;
  view.machine.memory = int64_t{4} << 30;
  view.machine.storage = int64_t{10} << 30;
  view.machine.boot_id = "b";
  view.runtime.asked = true;
  view.runtime.version = {"keelson", "0.1.0", "v1"};
  view.runtime.status.conditions = {{"RuntimeReady", true, "", ""}, {"NetworkReady", true, "", ""}};
  view.runtime.status.handlers = {{"", true, true}, {"kata", false, false}};
  view.runtime.status.supplemental_groups_policy = true;
  return view;
}

std::vector<std::string> types(const kube::NodeStatus& status) {
  std::vector<std::string> found;
  for (const auto& condition : status.conditions) {
    found.push_back(condition.type);
  }
  return found;
}

const kube::NodeCondition& ready(const kube::NodeStatus& status) {
  return *find_condition(status, "Ready");
}

TEST(MakeNode, SaysWhatTheMachineIs) {
  auto wanted = settings();
  wanted.labels = {{"disk", "ssd"}, {"kubernetes.io/hostname", "other"}};
  wanted.taints = {{.key = "k", .value = "v", .effect = "NoSchedule", .time_added = {}}};
  wanted.provider_id = "x://1";
  const auto node = make_node(wanted, view(), kNow);
  EXPECT_EQ(node.metadata.name, "n1");
  EXPECT_EQ(node.metadata.labels, (kube::StringMap{{"beta.kubernetes.io/arch", "amd64"},
                                                   {"beta.kubernetes.io/os", "linux"},
                                                   {"disk", "ssd"},
                                                   {"kubernetes.io/arch", "amd64"},
                                                   {"kubernetes.io/hostname", "other"},
                                                   {"kubernetes.io/os", "linux"}}));
  EXPECT_EQ(node.metadata.annotations,
            (kube::StringMap{{"volumes.kubernetes.io/controller-managed-attach-detach", "true"}}));
  EXPECT_EQ(node.taints, wanted.taints);
  EXPECT_EQ(node.provider_id, "x://1");
  const auto& status = node.status;
  EXPECT_THAT(status.addresses,
              ElementsAre(kube::NodeAddress{"InternalIP", "10.0.0.1"}, kube::NodeAddress{"InternalIP", "fd00::1"},
                          kube::NodeAddress{"Hostname", "n1"}));
  EXPECT_EQ(status.node_info.container_runtime_version, "keelson://0.1.0");
  EXPECT_EQ(status.node_info.kubelet_version, "v1.34.4+keelson.1");
  EXPECT_EQ(status.node_info.operating_system, "linux");
  EXPECT_EQ(status.kubelet_port, 10250);
  ASSERT_EQ(status.runtime_handlers.size(), 2U);
  EXPECT_EQ(status.runtime_handlers[0].user_namespaces, true);
  EXPECT_EQ(status.runtime_handlers[1].recursive_read_only_mounts, false);
  EXPECT_EQ(status.supplemental_groups_policy, true);
}

TEST(MakeNode, ThatOfACloudWaitsForItsController) {
  auto wanted = settings();
  wanted.external_cloud = true;
  EXPECT_THAT(make_node(wanted, view(), kNow).status.addresses, ElementsAre(kube::NodeAddress{"Hostname", "n1"}))
      << "no address was given: the cloud knows them";
  wanted.node_ip = {"10.0.0.1"};
  const auto node = make_node(wanted, view(), kNow);
  ASSERT_EQ(node.taints.size(), 1U);
  EXPECT_EQ(node.taints[0].key, "node.cloudprovider.kubernetes.io/uninitialized");
  EXPECT_EQ(node.metadata.annotations.at("alpha.kubernetes.io/provided-node-ip"), "10.0.0.1");
  kube::NodeStatus previous;
  previous.addresses = {{.type = "ExternalIP", .address = "1.2.3.4"}};
  EXPECT_EQ(make_node_status(wanted, view(), previous, kNow).addresses, previous.addresses);
  EXPECT_EQ(make_node(wanted, view(), kNow).status.addresses.size(), 3U) << "until it has said so";
  wanted.node_ip = {"0.0.0.0"};
  EXPECT_EQ(metadata_change(make_node(wanted, view(), kNow), node).annotations,
            (kube::StringMap{{"alpha.kubernetes.io/provided-node-ip", ""}}));
}

TEST(NodeStatus, AddressesThatAreNotFoundAreAsTheyWere) {
  auto seen = view();
  seen.ips = {};
  kube::NodeStatus previous;
  previous.addresses = {{.type = "InternalIP", .address = "10.0.0.9"}};
  EXPECT_EQ(make_node_status(settings(), seen, previous, kNow).addresses, previous.addresses);
  EXPECT_TRUE(make_node(settings(), seen, kNow).status.addresses.empty()) << "none, rather than a wrong one";
}

TEST(NodeConditions, AreTheKubeletsWithReadyLast) {
  const auto status = make_node_status(settings(), view(), {}, kNow);
  EXPECT_THAT(types(status), ElementsAre("MemoryPressure", "DiskPressure", "PIDPressure", "Ready"));
  EXPECT_EQ(status.conditions[0].reason, "KubeletHasSufficientMemory");
  EXPECT_EQ(status.conditions[0].message, "kubelet has sufficient memory available");
  EXPECT_EQ(status.conditions[1].reason, "KubeletHasNoDiskPressure");
  EXPECT_EQ(status.conditions[2].reason, "KubeletHasSufficientPID");
  EXPECT_EQ(ready(status).status, ConditionStatus::true_status);
  EXPECT_EQ(ready(status).reason, "KubeletReady");
  EXPECT_EQ(ready(status).message, "kubelet is posting ready status");
  EXPECT_EQ(ready(status).last_transition_time, kNow);

  auto pressed = view();
  pressed.pressures = {.memory = true, .disk = true, .pid = true};
  const auto under = make_node_status(settings(), pressed, {}, kNow);
  EXPECT_EQ(under.conditions[0].status, ConditionStatus::true_status);
  EXPECT_EQ(under.conditions[0].reason, "KubeletHasInsufficientMemory");
  EXPECT_EQ(under.conditions[1].reason, "KubeletHasDiskPressure");
  EXPECT_EQ(under.conditions[2].reason, "KubeletHasInsufficientPID");
}

TEST(NodeConditions, KeepTheirTransitionAndThoseOfOthers) {
  auto before = make_node_status(settings(), view(), {}, kNow);
  kube::NodeCondition other;
  other.type = "NetworkUnavailable";
  other.status = ConditionStatus::false_status;
  other.reason = "RouteCreated";
  before.conditions.push_back(other);
  auto changed = view();
  changed.pressures.disk = true;
  const auto after = make_node_status(settings(), changed, before, kNow + 10s);
  EXPECT_THAT(types(after),
              ElementsAre("NetworkUnavailable", "MemoryPressure", "DiskPressure", "PIDPressure", "Ready"));
  EXPECT_EQ(after.conditions[0], other);
  EXPECT_EQ(find_condition(after, "MemoryPressure")->last_transition_time, kNow);
  EXPECT_EQ(find_condition(after, "MemoryPressure")->last_heartbeat_time, kNow + 10s);
  EXPECT_EQ(find_condition(after, "DiskPressure")->last_transition_time, kNow + 10s);
  EXPECT_EQ(ready(after).last_transition_time, kNow);
}

TEST(NodeConditions, ReadyWantsRuntimeNetworkAndCapacity) {
  const auto message = [](const NodeView& seen) {
    const auto status = make_node_status(settings(), seen, {}, kNow);
    EXPECT_EQ(ready(status).status, ConditionStatus::false_status);
    EXPECT_EQ(ready(status).reason, "KubeletNotReady");
    return ready(status).message;
  };
  auto seen = view();
  seen.runtime.status.conditions[1] = {"NetworkReady", false, "NetworkPluginNotReady", "cni plugin not initialized"};
  EXPECT_EQ(message(seen),
            "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:cni plugin "
            "not initialized");
  seen.runtime.status.conditions[0] = {"RuntimeReady", false, "r", "m"};
  EXPECT_EQ(message(seen),
            "[container runtime not ready: RuntimeReady=false reason:r message:m, container runtime network not ready: "
            "NetworkReady=false reason:NetworkPluginNotReady message:cni plugin not initialized]");
  seen = view();
  seen.runtime.down = true;
  EXPECT_EQ(message(seen), "container runtime is down");
  seen = view();
  seen.runtime = {};
  EXPECT_EQ(message(seen), "container runtime status check may not have completed yet");
  seen = view();
  seen.machine.memory = 0;
  EXPECT_EQ(message(seen), "missing node capacity for resources: memory");
}

TEST(NodeStatus, BiggestImagesComeFirstUpToTheBound) {
  auto seen = view();
  seen.runtime.images = {{.id = "a", .repo_tags = {"a:1"}, .repo_digests = {"a@sha256:1"}, .size = 10},
                         {.id = "b", .repo_tags = {"b:1", "b:2", "b:3", "b:4", "b:5", "b:6"}, .size = 30},
                         {.id = "c", .size = 20}};
  auto wanted = settings();
  wanted.max_images = 2;
  auto images = make_node_status(wanted, seen, {}, kNow).images;
  ASSERT_EQ(images.size(), 2U);
  EXPECT_EQ(images[0].size_bytes, 30);
  EXPECT_EQ(images[0].names.size(), 5U) << "as many names as the kubelet tells";
  EXPECT_EQ(images[1].size_bytes, 20);
  wanted.max_images = -1;
  images = make_node_status(wanted, seen, {}, kNow).images;
  ASSERT_EQ(images.size(), 3U);
  EXPECT_THAT(images[2].names, ElementsAre("a@sha256:1", "a:1"));
}

TEST(NodeStatus, WhatOthersSetStays) {
  kube::NodeStatus previous;
  previous.capacity = {{"vendor.com/gpu", kube::Quantity::of(4)}, {"hugepages-1Gi", kube::Quantity::of(1)}};
  previous.allocatable = {{"vendor.com/gpu", kube::Quantity::of(3)}};
  previous.volumes_in_use = {"v"};
  const auto status = make_node_status(settings(), view(), previous, kNow);
  EXPECT_EQ(status.capacity.at("vendor.com/gpu"), kube::Quantity::of(4));
  EXPECT_EQ(status.allocatable.at("vendor.com/gpu"), kube::Quantity::of(4)) << "as the kubelet makes it: all of it";
  EXPECT_FALSE(status.capacity.contains("hugepages-1Gi")) << "the machine has none any more";
  EXPECT_EQ(status.volumes_in_use, previous.volumes_in_use);
}

TEST(NodeStatus, DevicesAreAsTheirPluginsTell) {
  kube::NodeStatus previous;
  previous.capacity =
      previous.allocatable = {{"vendor.com/gpu", kube::Quantity::of(4)}, {"vendor.com/old", kube::Quantity::of(7)}};
  auto seen = view();
  seen.devices.capacity = {{"vendor.com/gpu", kube::Quantity::of(3)}, {"vendor.com/old", kube::Quantity::of(0)}};
  seen.devices.allocatable = {{"vendor.com/gpu", kube::Quantity::of(1)}, {"vendor.com/old", kube::Quantity::of(0)}};
  const auto status = make_node_status(settings(), seen, previous, kNow);
  EXPECT_EQ(status.capacity.at("vendor.com/gpu"), kube::Quantity::of(3));
  EXPECT_EQ(status.allocatable.at("vendor.com/gpu"), kube::Quantity::of(1));
  EXPECT_EQ(status.capacity.at("vendor.com/old"), kube::Quantity::of(0)) << "what has gone is told, not left as it was";
  EXPECT_EQ(status.allocatable.at("vendor.com/old"), kube::Quantity::of(0));
}

TEST(NodeStatus, BeforeTheRuntimeAnswersItIsAsItWas) {
  const auto before = make_node_status(settings(), view(), {}, kNow);
  auto seen = view();
  seen.runtime = {};
  const auto status = make_node_status(settings(), seen, before, kNow);
  EXPECT_EQ(status.runtime_handlers, before.runtime_handlers);
  EXPECT_EQ(status.node_info, before.node_info);
}

TEST(NodeStatus, HeartbeatsAreNoNews) {
  const auto before = make_node_status(settings(), view(), {}, kNow);
  EXPECT_FALSE(differs(before, make_node_status(settings(), view(), before, kNow + 10s)));
  auto moved = before;
  std::ranges::reverse(moved.conditions);
  EXPECT_FALSE(differs(before, moved));
  moved.conditions[0].message = "other";
  EXPECT_TRUE(differs(before, moved));
  auto changed = view();
  changed.runtime.images = {{.id = "a", .size = 1}};
  EXPECT_TRUE(differs(before, make_node_status(settings(), changed, before, kNow)));
}

TEST(MetadataChange, IsWhatAnExistingNodeLacks) {
  auto wanted = settings();
  wanted.labels = {{"disk", "ssd"}, {"topology.kubernetes.io/zone", "a"}};
  const auto own = make_node(wanted, view(), kNow);
  auto existing = own;
  EXPECT_TRUE(metadata_change(own, existing).labels.empty());
  EXPECT_TRUE(metadata_change(own, existing).annotations.empty());
  existing.metadata.labels = {{"disk", "hdd"}, {"kubernetes.io/os", "windows"}, {"theirs", "x"}};
  existing.metadata.annotations.clear();
  const auto change = metadata_change(own, existing);
  EXPECT_EQ(change.labels, (kube::StringMap{{"beta.kubernetes.io/arch", "amd64"},
                                            {"beta.kubernetes.io/os", "linux"},
                                            {"kubernetes.io/arch", "amd64"},
                                            {"kubernetes.io/hostname", "n1"},
                                            {"kubernetes.io/os", "linux"},
                                            {"topology.kubernetes.io/zone", "a"}}))
      << "others are given at registration only";
  EXPECT_EQ(change.annotations, own.metadata.annotations);
}

}  // namespace
}  // namespace keelson::agent
