// SPDX-License-Identifier: Apache-2.0
#include "ebpf/allocator.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace keelson::ebpf {
namespace {

constexpr TimePoint kStart{std::chrono::hours(1)};

TEST(RangeAllocatorTest, WhatComesBackWaitsForTheGracePeriod) {
  RangeAllocator rows(1, 3);
  EXPECT_EQ(rows.take(2, kStart), 1u);
  EXPECT_EQ(rows.take(1, kStart), std::nullopt);
  rows.give_back(1, 2, kStart);
  EXPECT_EQ(rows.used(), 0u);
  EXPECT_EQ(rows.take(1, kStart + kGracePeriod - std::chrono::nanoseconds(1)), std::nullopt);
  EXPECT_EQ(rows.take(2, kStart + kGracePeriod), 1u);
}

TEST(RangeAllocatorTest, ClaimsWhatAFormerDaemonHas) {
  RangeAllocator rows(0, 10);
  EXPECT_TRUE(rows.claim(3, 4));
  EXPECT_FALSE(rows.claim(6, 1));
  EXPECT_FALSE(rows.claim(9, 2));
  EXPECT_TRUE(rows.claim(9, 1));
  EXPECT_EQ(rows.take(3, kStart), 0u);
  EXPECT_EQ(rows.take(3, kStart), std::nullopt);
  EXPECT_EQ(rows.take(2, kStart), 7u);
}

TEST(RangeAllocatorTest, NewRowsJoinTheOldOnes) {
  RangeAllocator rows(0, 4);
  EXPECT_EQ(rows.take(2, kStart), 0u);
  EXPECT_EQ(rows.take(6, kStart), std::nullopt);
  rows.extend(8);
  EXPECT_EQ(rows.take(6, kStart), 2u);
  EXPECT_EQ(rows.take(1, kStart), std::nullopt);
  rows.extend(8);
  EXPECT_EQ(rows.take(1, kStart), std::nullopt);
}

// Against a map of each row: no row is given out twice, and in the end all are one range again.
TEST(RangeAllocatorTest, RandomUse) {
  constexpr uint32_t kRows = 500;
  std::mt19937 random(3);
  RangeAllocator rows(0, kRows);
  std::vector<bool> taken(kRows);
  std::vector<std::pair<uint32_t, uint32_t>> held;
  auto now = kStart;
  for (int i = 0; i < 100'000; i++) {
    now += kGracePeriod / 4;
    if (random() % 2 || held.empty()) {
      auto size = static_cast<uint32_t>(random() % 20 + 1);
      auto base = rows.take(size, now);
      if (!base) {
        continue;
      }
      for (uint32_t row = *base; row < *base + size; row++) {
        ASSERT_FALSE(taken.at(row)) << row;
        taken[row] = true;
      }
      held.emplace_back(*base, size);
    } else {
      std::swap(held[random() % held.size()], held.back());
      auto [base, size] = held.back();
      held.pop_back();
      rows.give_back(base, size, now);
      for (uint32_t row = base; row < base + size; row++) {
        taken[row] = false;
      }
    }
  }
  for (auto [base, size] : held) {
    rows.give_back(base, size, now);
  }
  EXPECT_EQ(rows.used(), 0u);
  EXPECT_EQ(rows.take(kRows, now + kGracePeriod), 0u);
}

}  // namespace
}  // namespace keelson::ebpf
