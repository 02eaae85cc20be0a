// SPDX-License-Identifier: Apache-2.0
// Capacity, reservations and thresholds; labels and taints that an operator gives.
#include "agent/node/resources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/node/node_labels.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int64_t kGiB = int64_t{1} << 30;

Machine machine() {
  Machine machine;
  machine.cpus = 8;
  machine.memory = 16 * kGiB;
  machine.memory_available = 8 * kGiB;
  machine.storage = 100 * kGiB;
  machine.storage_available = 50 * kGiB;
  machine.inodes = 1'000'000;
  machine.inodes_free = 500'000;
  machine.processes = 32768;
  machine.processes_available = 32000;
  machine.huge_pages = {{2 << 20, 0}, {kGiB, 2 * kGiB}};
  return machine;
}

std::map<std::string, std::string> texts(const kube::ResourceList& list) {
  std::map<std::string, std::string> found;
  for (const auto& [name, amount] : list) {
    found[name] = amount.to_string();
  }
  return found;
}

std::vector<EvictionThreshold> thresholds(const std::vector<std::string>& list) {
  auto parsed = parse_thresholds(list);
  EXPECT_TRUE(parsed) << parsed.error().message();
  return parsed ? *parsed : std::vector<EvictionThreshold>();
}

TEST(Capacity, IsWhatTheMachineHas) {
  EXPECT_EQ(texts(node_capacity(machine(), {})), (std::map<std::string, std::string>{{"cpu", "8"},
                                                                                     {"memory", "16Gi"},
                                                                                     {"ephemeral-storage", "100Gi"},
                                                                                     {"pods", "110"},
                                                                                     {"hugepages-2Mi", "0"},
                                                                                     {"hugepages-1Gi", "2Gi"}}));
  EXPECT_EQ(node_capacity(machine(), {.pods_per_core = 5}).at("pods"), kube::Quantity::of(40));
  EXPECT_EQ(node_capacity(machine(), {.max_pods = 30, .pods_per_core = 5}).at("pods"), kube::Quantity::of(30));
  EXPECT_FALSE(node_capacity({}, {}).contains("memory")) << "unknown is not zero";
}

TEST(Allocatable, IsCapacityWithoutWhatIsReserved) {
  Reservation reservation;
  reservation.system = *parse_reservation({"cpu=500m", "memory=1Gi", "ephemeral-storage=1Gi"});
  reservation.kube = *parse_reservation({"cpu=250m", "memory=512Mi", "pid=100"});
  reservation.eviction_hard = thresholds({"memory.available<512Mi", "nodefs.available<10%", "imagefs.available<15%"});
  EXPECT_EQ(texts(node_allocatable(node_capacity(machine(), {}), reservation)),
            (std::map<std::string, std::string>{{"cpu", "7250m"},
                                                {"memory", "12Gi"},  // 16 - 1 - 0.5 - 0.5 - 2 of huge pages
                                                {"ephemeral-storage", "89Gi"},
                                                {"pods", "110"},
                                                {"hugepages-2Mi", "0"},
                                                {"hugepages-1Gi", "2Gi"}}));
  reservation.reserved_cpus = 2;
  EXPECT_EQ(node_allocatable(node_capacity(machine(), {}), reservation).at("cpu"), kube::Quantity::of(6));
  reservation.system["memory"].amount = kube::Quantity::of(99 * kGiB);
  EXPECT_TRUE(node_allocatable(node_capacity(machine(), {}), reservation).at("memory").zero()) << "never negative";
}

TEST(Allocatable, WhatIsEnforcedLeavesRoomForEvictions) {
  Reservation reservation{.system = parse_reservation({"memory=1Gi", "cpu=500m"}).value(),
                          .kube = parse_reservation({"memory=512Mi", "pid=1000"}).value(),
                          .eviction_hard = parse_thresholds({"memory.available<100Mi"}).value()};
  const kube::ResourceList capacity = {
      {"cpu", kube::Quantity::of(2)},
      {"memory", kube::Quantity::of(int64_t{8} << 30, kube::Quantity::Format::binary_si)},
      {"pid", kube::Quantity::of(32768)}};
  EXPECT_EQ(texts(node_enforced(capacity, reservation)),
            texts({{"cpu", kube::Quantity::of_milli(1500)},
                   {"memory", kube::Quantity::of(int64_t{6656} << 20, kube::Quantity::Format::binary_si)},
                   {"pid", kube::Quantity::of(31768)}}));
  EXPECT_EQ(texts(amounts_of(parse_reservation({"memory=25%"}).value(), capacity)),
            texts({{"memory", kube::Quantity::of(int64_t{2} << 30, kube::Quantity::Format::binary_si)}}));
}

TEST(Allocatable, AShareIsOfWhatThereIs) {
  Reservation reservation;
  reservation.system = *parse_reservation({"cpu=15%", "memory=25%", "ephemeral-storage=10%"});
  const auto left = texts(node_allocatable(node_capacity(machine(), {}), reservation));
  EXPECT_EQ(left.at("cpu"), "6800m");
  EXPECT_EQ(left.at("memory"), "10Gi");  // 16 - 4 - 2 of huge pages
  EXPECT_EQ(left.at("ephemeral-storage"), "90Gi");
}

TEST(Reservation, WrongOnesAreNamed) {
  EXPECT_EQ(parse_reservation({"memory=101%"}).error().message(), "memory: '101%' is not a percentage from 0% to 100%");
  EXPECT_EQ(parse_reservation({"memory=nan%"}).error().message(), "memory: 'nan%' is not a percentage from 0% to 100%");
  EXPECT_EQ(parse_reservation({"memory"}).error().message(), "'memory' is not RESOURCE=AMOUNT, such as memory=1Gi");
  EXPECT_EQ(parse_reservation({"pods=1"}).error().message(),
            "'pods' cannot be reserved; use any of cpu, memory, ephemeral-storage, pid");
  EXPECT_THAT(parse_reservation({"memory=much"}).error().message(), StartsWith("memory: "));
  EXPECT_EQ(parse_reservation({"memory=-1"}).error().message(), "memory: '-1' is negative");
  EXPECT_EQ(parse_reservation({"cpu=1", "cpu=2"}).error().message(), "cpu is given twice");
}

TEST(Thresholds, AreReadAsTheKubeletReadsThem) {
  EXPECT_EQ(thresholds(default_eviction_hard()).size(), 5U);
  EXPECT_EQ(thresholds({"memory.available<0%", "nodefs.available<100%"}).size(), 0U) << "mean none";
  EXPECT_EQ(thresholds({"nodefs.available<10%"})[0].value(1000), 100);
  EXPECT_EQ(thresholds({"memory.available<1Ki"})[0].value(1000), 1024);
  EXPECT_THAT(parse_thresholds({"memory.available=1Gi"}).error().message(), HasSubstr("is not SIGNAL<AMOUNT"));
  EXPECT_THAT(parse_thresholds({"memory<1Gi"}).error().message(),
              HasSubstr("there is no signal memory; use one of memory.available, nodefs.available"));
  EXPECT_EQ(parse_thresholds({"pid.available<101%"}).error().message(),
            "pid.available: '101%' is not a percentage from 0% to 100%");
  EXPECT_EQ(parse_thresholds({"pid.available<1", "pid.available<2"}).error().message(), "pid.available is given twice");
  EXPECT_EQ(parse_thresholds({"pid.available<-1"}).error().message(), "pid.available: '-1' is negative");
}

TEST(Pressures, AreOfWhatIsBelowItsThreshold) {
  const auto hard = thresholds({"memory.available<1Gi", "nodefs.inodesFree<5%", "pid.available<100"});
  EXPECT_EQ(pressures(hard, machine()), Pressures{});
  auto low = machine();
  low.memory_available = kGiB - 1;
  EXPECT_EQ(pressures(hard, low), (Pressures{.memory = true}));
  low = machine();
  low.inodes_free = 49'999;
  EXPECT_EQ(pressures(hard, low), (Pressures{.disk = true}));
  low = machine();
  low.processes_available = 99;
  EXPECT_EQ(pressures(hard, low), (Pressures{.pid = true}));
  EXPECT_EQ(pressures(hard, {}), Pressures{}) << "what is not known presses nobody";
  low = machine();
  low.storage_available = low.storage / 8;
  EXPECT_EQ(pressures(thresholds(default_eviction_hard()), low), Pressures{})
      << "images may be on another disk: the evictor knows";
}

TEST(Pressures, AreToldForAWhileAfterTheyHaveGone) {
  HeldPressures held(5min);
  const SteadyTime start{1h};
  EXPECT_EQ(held.observe({}, start), Pressures{});
  EXPECT_TRUE(held.observe({.disk = true}, start + 1s).disk);
  EXPECT_EQ(held.observe({}, start + 5min), (Pressures{.disk = true}));
  EXPECT_EQ(held.observe({}, start + 5min + 1s), Pressures{});
}

TEST(NodeLabels, OthersThanANodeMayHaveAreRefused) {
  const auto labels = parse_node_labels({"disk=ssd", "example.com/a=", "node.kubernetes.io/pool=x",
                                         "sub.node.kubernetes.io/y=z", "topology.kubernetes.io/zone=a"});
  ASSERT_TRUE(labels) << labels.error().message();
  EXPECT_EQ(labels->size(), 5U);
  EXPECT_EQ(labels->at("example.com/a"), "");
  for (const char* refused : {"node-role.kubernetes.io/control-plane=", "kubernetes.io/x=y", "foo.k8s.io/x=y",
                              "node-restriction.kubernetes.io/x=y", "xnode.kubernetes.io/x=y"}) {
    const auto wrong = parse_node_labels({refused});
    ASSERT_FALSE(wrong) << refused;
    EXPECT_THAT(wrong.error().message(), HasSubstr("a node may not give itself labels of kubernetes.io or k8s.io"));
  }
  EXPECT_EQ(parse_node_labels({"a"}).error().message(), "'a' is not KEY=VALUE");
  EXPECT_THAT(parse_node_labels({"a=not/a value"}).error().message(), StartsWith("'a=not/a value': Invalid value"));
}

TEST(Taints, AreReadInTheKubeletsForm) {
  const auto taints = parse_taints({"a=b:NoSchedule", "example.com/c:NoExecute"});
  ASSERT_TRUE(taints) << taints.error().message();
  EXPECT_EQ((*taints)[0].value, "b");
  EXPECT_EQ((*taints)[1].key, "example.com/c");
  EXPECT_EQ((*taints)[1].effect, "NoExecute");
  EXPECT_EQ(parse_taints({"a=b"}).error().message(), "'a=b' is not KEY=VALUE:EFFECT");
  EXPECT_THAT(parse_taints({"a=b:Never"}).error().message(), HasSubstr("Unsupported value: \"Never\""));
  EXPECT_THAT(parse_taints({"a=b:NoSchedule", "a=c:NoSchedule"}).error().message(), HasSubstr("Duplicate value"));
}

}  // namespace
}  // namespace keelson::agent
