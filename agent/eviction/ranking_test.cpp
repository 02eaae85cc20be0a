// SPDX-License-Identifier: Apache-2.0
// Who goes first, what is said, and who has written too much.
#include "agent/eviction/ranking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>

namespace keelson::agent {
namespace {

using ::testing::ElementsAre;

constexpr uint64_t kMiB = 1 << 20;

struct Shape {
  std::string name;
  int32_t priority = 0;
  uint64_t memory = 0, request = 0;          ///< MiB
  uint64_t layer = 0, logs = 0, volume = 0;  ///< MiB
  size_t processes = 0;
  bool known = true;
};

class Ranking : public ::testing::Test {
 protected:
  Candidate add(const Shape& shape) {
    kube::Pod& pod = pods_.emplace_back();
    pod.metadata.name = shape.name;
    pod.spec.priority = shape.priority;
    auto& container = pod.spec.containers.emplace_back();
    container.name = "main";
    if (shape.request > 0) {
      container.resources.requests["memory"] =
          kube::Quantity::of(static_cast<int64_t>(shape.request * kMiB), kube::Quantity::Format::binary_si);
    }
    auto& volume = pod.spec.volumes.emplace_back();
    volume.name = "scratch";
    volume.empty_dir.emplace();
    metrics::PodUse& use = uses_.emplace_back();
    use.counters.working_set = shape.memory * kMiB;
    auto& running = use.containers.emplace_back();
    running.place.name = "main";
    running.place.layer = metrics::DiskUse{.used = shape.layer * kMiB, .inodes_used = shape.layer};
    running.logs = {.used = shape.logs * kMiB, .inodes_used = shape.logs};
    running.counters.working_set = shape.memory * kMiB;
    running.processes.count = shape.processes;
    auto& scratch = use.volumes.emplace_back();
    scratch.place.name = "scratch";
    scratch.disk = {.used = shape.volume * kMiB, .inodes_used = shape.volume};
    return {&pod, shape.known ? &use : nullptr};
  }
  std::vector<std::string> ranked(const std::vector<Shape>& shapes, EvictionSignal signal, bool apart = false) {
    std::vector<Candidate> candidates;
    for (const auto& shape : shapes) {
      candidates.push_back(add(shape));
    }
    rank(candidates, signal, apart);
    std::vector<std::string> names;
    for (const auto& candidate : candidates) {
      names.push_back(candidate.pod->metadata.name);
    }
    return names;
  }

  std::list<kube::Pod> pods_;
  std::list<metrics::PodUse> uses_;
};

TEST_F(Ranking, OfMemoryIsByRequestThenPriorityThenWhatIsBeyond) {
  EXPECT_THAT(ranked({{.name = "within", .priority = -5, .memory = 90, .request = 100},
                      {.name = "important", .priority = 7, .memory = 500},
                      {.name = "less over", .memory = 150, .request = 100},
                      {.name = "most over", .memory = 400, .request = 100},
                      {.name = "unknown", .priority = 9, .known = false}},
                     EvictionSignal::memory_available),
              ElementsAre("unknown", "most over", "less over", "important", "within"));
  EXPECT_THAT(
      ranked({{.name = "small", .memory = 1}, {.name = "big", .memory = 2}}, EvictionSignal::allocatable_memory),
      ElementsAre("big", "small"));
}

TEST_F(Ranking, OfProcessesIsByPriorityThenTheirNumber) {
  EXPECT_THAT(ranked({{.name = "few", .processes = 2},
                      {.name = "important", .priority = 1, .processes = 900},
                      {.name = "many", .processes = 30}},
                     EvictionSignal::pid_available),
              ElementsAre("many", "few", "important"));
}

TEST_F(Ranking, OfADiskCountsWhatIsOnIt) {
  const std::vector<Shape> shapes = {
      {.name = "layer", .layer = 30}, {.name = "logs", .logs = 20}, {.name = "volume", .volume = 10}};
  EXPECT_THAT(ranked(shapes, EvictionSignal::nodefs_available), ElementsAre("layer", "logs", "volume"));
  EXPECT_THAT(ranked(shapes, EvictionSignal::imagefs_available), ElementsAre("layer", "logs", "volume")) << "one disk";
  EXPECT_THAT(ranked(shapes, EvictionSignal::nodefs_available, true), ElementsAre("logs", "volume", "layer"));
  EXPECT_THAT(ranked(shapes, EvictionSignal::imagefs_inodes_free, true), ElementsAre("layer", "logs", "volume"));
}

TEST_F(Ranking, TheMessageIsTheKubelets) {
  const auto due = parse_eviction({.hard = {"memory.available<100Mi", "nodefs.inodesFree<5%"},
                                   .soft = {},
                                   .soft_grace = {},
                                   .minimum_reclaim = {}})
                       .value();
  const Observations seen = {{EvictionSignal::memory_available, {.available = 52 * int64_t{kMiB}, .capacity = 1 << 30}},
                             {EvictionSignal::nodefs_inodes_free, {.available = 30, .capacity = 1000}}};
  EXPECT_EQ(
      eviction_message(EvictionSignal::memory_available, add({.name = "a", .memory = 300, .request = 200}), due, seen),
      "The node was low on resource: memory. Threshold quantity: 100Mi, available: 52Mi. Container main was "
      "using 300Mi, request is 200Mi, has larger consumption of memory. ");
  EXPECT_EQ(eviction_message(EvictionSignal::memory_available, add({.name = "a", .memory = 3}), due, seen),
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 52Mi. Container main was "
            "using 3Mi, request is 0, has larger consumption of memory. ");
  EXPECT_EQ(eviction_message(EvictionSignal::memory_available, add({.name = "a", .known = false}), due, seen),
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 52Mi. ");
  EXPECT_EQ(eviction_message(EvictionSignal::nodefs_inodes_free, add({.name = "a", .layer = 3}), due, seen),
            "The node was low on resource: inodes. Threshold quantity: 50, available: 30. ");
}

TEST_F(Ranking, APodOverItsOwnLimitsOfStorageIsFound) {
  auto candidate = add({.name = "a", .layer = 3, .logs = 4, .volume = 5});
  auto& pod = pods_.back();
  const auto limit = [](const char* text) { return kube::Quantity::parse(text).value(); };
  EXPECT_FALSE(limits_storage(pod));
  EXPECT_FALSE(exceeded_storage(candidate, false).has_value()) << "no limit";
  pod.spec.containers[0].resources.limits["ephemeral-storage"] = limit("12Mi");
  EXPECT_TRUE(limits_storage(pod));
  EXPECT_FALSE(exceeded_storage(candidate, false).has_value()) << "just as much as it may";
  pod.spec.containers[0].resources.limits["ephemeral-storage"] = limit("11Mi");
  EXPECT_EQ(exceeded_storage(candidate, false)->message,
            "Pod ephemeral local storage usage exceeds the total limit of containers 11Mi. ");
  EXPECT_EQ(exceeded_storage(candidate, false)->signal, "ephemeralpodfs.limit");
  pod.spec.containers.emplace_back().name = "other";
  pod.spec.containers[1].resources.limits["ephemeral-storage"] = limit("1Gi");
  EXPECT_FALSE(exceeded_storage(candidate, false).has_value());
  pod.spec.containers[0].resources.limits["ephemeral-storage"] = limit("6Mi");
  EXPECT_EQ(exceeded_storage(candidate, false)->message,
            "Container main exceeded its local ephemeral storage limit \"6Mi\". ");
  EXPECT_FALSE(exceeded_storage(candidate, true).has_value()) << "its layer is on a disk of its own";
  pod.spec.volumes[0].empty_dir->size_limit = limit("4Mi");
  EXPECT_EQ(exceeded_storage(candidate, false)->message,
            "Usage of EmptyDir volume \"scratch\" exceeds the limit \"4Mi\". ");
  EXPECT_EQ(exceeded_storage(candidate, false)->signal, "emptydirfs.limit");
  candidate.use = nullptr;
  EXPECT_FALSE(exceeded_storage(candidate, false).has_value());
}

TEST_F(Ranking, WhatIsInMemoryIsNotOnADisk) {
  const auto candidate = add({.name = "a", .volume = 50});
  pods_.back().spec.volumes[0].empty_dir->medium = "Memory";
  pods_.back().spec.containers[0].resources.limits["ephemeral-storage"] = kube::Quantity::parse("10Mi").value();
  uses_.back().volumes[0].apart = true;
  EXPECT_FALSE(exceeded_storage(candidate, false).has_value());
  auto other = add({.name = "b", .logs = 1});
  std::vector<Candidate> candidates = {candidate, other};
  rank(candidates, EvictionSignal::nodefs_available, false);
  EXPECT_EQ(candidates[0].pod->metadata.name, "b");
}

}  // namespace
}  // namespace keelson::agent
