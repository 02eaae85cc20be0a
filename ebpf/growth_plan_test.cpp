// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "ebpf/growth.h"

namespace keelson::ebpf {
namespace {

constexpr uint32_t kWays = KL_CT_WAYS;
constexpr ProgramSizes kHave{1024, 256, 4096, 1024, 1024 * kWays, 256 * kWays};

MapBudget beside(const ProgramSizes& sizes, uint64_t more) {
  return {.bytes = bytes_of(sizes) + more, .connection_rows = 1 << 20};
}

TEST(GrowthPlanTest, OnlyWhatIsWantedGrowsToAtLeastTwice) {
  auto wanted = kHave;
  wanted.services = 257;
  wanted.connections4 = 1024 * kWays + 1;
  auto plan = plan_growth(kHave, wanted, 0, {});
  EXPECT_EQ(plan.sizes, (ProgramSizes{1024, 512, 4096, 1024, 2048 * kWays, 256 * kWays}));
  EXPECT_TRUE(plan.refused.empty());
  EXPECT_EQ(plan_growth(kHave, kHave, 0, {.bytes = 0}).sizes, kHave) << "what is there stays, over the budget or not";
}

TEST(GrowthPlanTest, WithinTheBudgetToTheByte) {
  auto wanted = kHave;
  wanted.services = 512;
  EXPECT_EQ(plan_growth(kHave, wanted, 7, beside(wanted, 7)).sizes, wanted);
  auto plan = plan_growth(kHave, wanted, 7, beside(wanted, 6));
  EXPECT_EQ(plan.sizes, kHave);
  EXPECT_EQ(plan.refused, (std::map<std::string, uint64_t>{{"services", 512}}));
}

TEST(GrowthPlanTest, TakesWhatIsWantedWhereTwiceDoesNotFit) {
  auto wanted = kHave;
  wanted.slots = 5000;
  EXPECT_EQ(plan_growth(kHave, wanted, 0, beside(wanted, 0)).sizes, wanted);
}

TEST(GrowthPlanTest, ServicesComeBeforeConnections) {
  auto wanted = kHave;
  wanted.backends = 2048;
  const auto fits = wanted;
  wanted.connections4 = 2048 * kWays;
  auto plan = plan_growth(kHave, wanted, 0, beside(fits, 100));
  EXPECT_EQ(plan.sizes, fits);
  EXPECT_EQ(plan.refused, (std::map<std::string, uint64_t>{{"connections4", 2048 * kWays}}));
}

TEST(GrowthPlanTest, ConnectionsTakeLessThanWantedIfTheyGrowAtAll) {
  auto wanted = kHave;
  wanted.connections4 = 2048 * kWays;
  const auto half = wanted;
  wanted.connections4 = 4096 * kWays;
  EXPECT_EQ(plan_growth(kHave, wanted, 0, beside(half, 100)).sizes, half);
}

TEST(GrowthPlanTest, ConnectionsStopAtTheirOwnLimitInSilence) {
  auto wanted = kHave;
  wanted.connections4 = 2048 * kWays;
  auto plan = plan_growth(kHave, wanted, 0, {.connection_rows = 1500 * kWays});
  EXPECT_EQ(plan.sizes, kHave);
  EXPECT_TRUE(plan.refused.empty());
}

TEST(GrowthPlanTest, NamesOfBackendsHaveNoMoreBits) {
  auto have = kHave, wanted = kHave;
  have.backends = 1 << KL_BACKEND_ROW_BITS;
  wanted.backends = have.backends + 1;
  auto plan = plan_growth(have, wanted, 0, {.bytes = uint64_t{1} << 40});
  EXPECT_EQ(plan.sizes, have);
  EXPECT_EQ(plan.refused.count("backends"), 1u);
}

}  // namespace
}  // namespace keelson::ebpf
