// SPDX-License-Identifier: Apache-2.0
// Thresholds by the clock: graces, minimum reclaims, pressures that are held.
#include "agent/eviction/threshold_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kMiB = 1 << 20;
constexpr SteadyTime kStart{1h};

std::vector<EvictionThreshold> parsed(const EvictionTexts& texts) {
  return parse_eviction(texts).value();
}

Observations memory(int64_t available) {
  return {{EvictionSignal::memory_available, {.available = available, .capacity = 1000 * kMiB}}};
}

std::vector<std::string> names(const std::vector<EvictionThreshold>& thresholds) {
  std::vector<std::string> list;
  for (const auto& threshold : thresholds) {
    list.push_back(std::string(to_string(threshold.signal)) + (threshold.hard() ? "" : " soft"));
  }
  return list;
}

TEST(EvictionSettings, AreTheKubelets) {
  const auto all = parsed({.hard = {"memory.available<100Mi", "nodefs.available<10%"},
                           .soft = {"memory.available<300Mi"},
                           .soft_grace = {"memory.available=1m30s"},
                           .minimum_reclaim = {"memory.available=50Mi", "nodefs.available=5%"}});
  EXPECT_THAT(names(all), ElementsAre("memory.available", "nodefs.available", "memory.available soft",
                                      "allocatableMemory.available"));
  EXPECT_EQ(all[2].grace, 90s);
  EXPECT_EQ(all[1].minimum_reclaim->value(1000), 50);
  EXPECT_EQ(all[3].minimum_reclaim, all[0].minimum_reclaim);
}

TEST(EvictionSettings, ThatAreWrongAreNamed) {
  const auto error = [](const EvictionTexts& texts) { return parse_eviction(texts).error().message(); };
  EXPECT_EQ(error({.hard = {}, .soft = {"memory.available<1Gi"}, .soft_grace = {}, .minimum_reclaim = {}}),
            "evictionSoft: memory.available has no grace period; give one by evictionSoftGracePeriod");
  EXPECT_THAT(error({.hard = {}, .soft = {}, .soft_grace = {"memory.available=soon"}, .minimum_reclaim = {}}),
              HasSubstr("evictionSoftGracePeriod: memory.available: "));
  EXPECT_EQ(error({.hard = {}, .soft = {}, .soft_grace = {}, .minimum_reclaim = {"nodefs.available=-1"}}),
            "evictionMinimumReclaim: nodefs.available: '-1' is negative");
  EXPECT_THAT(error({.hard = {"allocatableMemory.available<1Gi"}, .soft = {}, .soft_grace = {}, .minimum_reclaim = {}}),
              HasSubstr("there is no signal allocatableMemory.available"));
}

TEST(ThresholdWatch, AHardOneIsDueAtOnceAndASoftOneAfterItsGrace) {
  ThresholdWatch watch(parsed({.hard = {"memory.available<100Mi"},
                               .soft = {"memory.available<300Mi"},
                               .soft_grace = {"memory.available=30s"},
                               .minimum_reclaim = {}}),
                       0s);
  EXPECT_EQ(watch.observe(memory(300 * kMiB), kStart).pressures, Pressures{}) << "just enough";
  auto view = watch.observe(memory(299 * kMiB), kStart + 10s);
  EXPECT_TRUE(view.pressures.memory) << "told before its grace is over";
  EXPECT_THAT(view.due, IsEmpty());
  EXPECT_THAT(watch.observe(memory(299 * kMiB), kStart + 39s).due, IsEmpty());
  EXPECT_THAT(names(watch.observe(memory(299 * kMiB), kStart + 40s).due), ElementsAre("memory.available soft"));
  EXPECT_THAT(names(watch.observe(memory(99 * kMiB), kStart + 41s).due),
              ElementsAre("memory.available", "memory.available soft"));
  EXPECT_THAT(watch.observe(memory(300 * kMiB), kStart + 50s).due, IsEmpty());
  EXPECT_THAT(watch.observe(memory(200 * kMiB), kStart + 60s).due, IsEmpty()) << "its grace begins anew";
}

TEST(ThresholdWatch, OneThatIsDueStaysSoUntilItsMinimumReclaim) {
  ThresholdWatch watch(parsed({.hard = {"memory.available<100Mi"},
                               .soft = {},
                               .soft_grace = {},
                               .minimum_reclaim = {"memory.available=50Mi"}}),
                       0s);
  EXPECT_THAT(watch.observe(memory(120 * kMiB), kStart).due, IsEmpty()) << "it never was crossed";
  EXPECT_EQ(watch.observe(memory(99 * kMiB), kStart).due.size(), 1U);
  EXPECT_EQ(watch.observe(memory(149 * kMiB), kStart).due.size(), 1U);
  EXPECT_THAT(watch.observe(memory(150 * kMiB), kStart).due, IsEmpty());
  EXPECT_THAT(watch.observe(memory(120 * kMiB), kStart).due, IsEmpty());
}

TEST(ThresholdWatch, APressureIsHeldAndMemoryIsTheFirstToReclaim) {
  ThresholdWatch watch(parsed({.hard = {"pid.available<100", "nodefs.inodesFree<10%", "memory.available<100Mi"},
                               .soft = {},
                               .soft_grace = {},
                               .minimum_reclaim = {}}),
                       5min);
  auto seen = memory(99 * kMiB);
  seen[EvictionSignal::nodefs_inodes_free] = {.available = 9, .capacity = 100};
  seen[EvictionSignal::pid_available] = {.available = 99, .capacity = 1000};
  const auto view = watch.observe(seen, kStart);
  EXPECT_EQ(view.pressures, (Pressures{.memory = true, .disk = true, .pid = true}));
  EXPECT_THAT(names(view.due), ElementsAre("memory.available", "pid.available", "nodefs.inodesFree"));
  EXPECT_TRUE(watch.observe(memory(500 * kMiB), kStart + 4min).pressures.disk);
  EXPECT_EQ(watch.observe(memory(500 * kMiB), kStart + 6min).pressures, Pressures{});
}

TEST(ThresholdWatch, WhatIsNotKnownPressesNobody) {
  ThresholdWatch watch(parsed({.hard = default_eviction_hard(), .soft = {}, .soft_grace = {}, .minimum_reclaim = {}}),
                       5min);
  EXPECT_EQ(watch.observe({}, kStart).pressures, Pressures{});
}

}  // namespace
}  // namespace keelson::agent
