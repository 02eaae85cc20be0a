// SPDX-License-Identifier: Apache-2.0
#include "dataplane/maglev.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace keelson::dataplane {
namespace {

std::vector<WeightedBackend> some_backends(int count) {
  std::vector<WeightedBackend> backends;
  for (int i = 0; i < count; i++) {
    backends.push_back({Address::v4(0x0a000000 + i), 8080, 1});
  }
  return backends;
}

std::map<uint32_t, int> shares(const std::vector<uint32_t>& table) {
  std::map<uint32_t, int> result;
  for (auto place : table) {
    result[place]++;
  }
  return result;
}

TEST(MaglevTest, EachHasAnEqualShare) {
  auto backends = some_backends(10);
  auto size = maglev_table_size(backends.size());
  EXPECT_EQ(size, 1021u);
  auto counted = shares(maglev_table(backends, size));
  ASSERT_EQ(counted.size(), 10u);
  for (auto [place, count] : counted) {
    EXPECT_NEAR(count, 102, 1) << place;
  }
}

TEST(MaglevTest, WeightsAreShares) {
  auto backends = some_backends(3);
  backends[0].weight = 3;
  backends[2].weight = 0;
  auto counted = shares(maglev_table(backends, 4093));
  EXPECT_NEAR(counted[0], 4093 * 3 / 4, 2);
  EXPECT_NEAR(counted[1], 4093 / 4, 2);
  EXPECT_EQ(counted.count(2), 0u);
}

TEST(MaglevTest, NobodyOfWeightIsAnEmptyTable) {
  EXPECT_TRUE(maglev_table({}, 251).empty());
  auto backends = some_backends(1);
  backends[0].weight = 0;
  EXPECT_TRUE(maglev_table(backends, 251).empty());
}

TEST(MaglevTest, OrderDoesNotMatter) {
  auto backends = some_backends(7);
  auto table = maglev_table(backends, 1021);
  auto shuffled = backends;
  std::ranges::shuffle(shuffled, std::mt19937(7));
  auto other = maglev_table(shuffled, 1021);
  for (size_t i = 0; i < table.size(); i++) {
    ASSERT_EQ(backends[table[i]].address, shuffled[other[i]].address);
  }
}

TEST(MaglevTest, OneLeavesAndFewOthersMove) {
  auto backends = some_backends(20);
  auto before = maglev_table(backends, 4093);
  backends[3].weight = 0;
  auto after = maglev_table(backends, 4093);
  int moved = 0;
  for (size_t i = 0; i < before.size(); i++) {
    moved += before[i] != 3 && before[i] != after[i];
  }
  EXPECT_LT(moved, 4093 / 25);  // Figure 12 of the paper: below 4 % for M = 100 N.
}

}  // namespace
}  // namespace keelson::dataplane
