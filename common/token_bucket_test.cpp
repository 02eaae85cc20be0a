// SPDX-License-Identifier: Apache-2.0
#include "common/token_bucket.h"

#include <gtest/gtest.h>

namespace keelson {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kBegin(1000s);

TEST(TokenBucket, HasItsBurstAtOnceAndThenItsRate) {
  TokenBucket bucket({.per_second = 2, .burst = 3});
  EXPECT_TRUE(bucket.full(kBegin));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(bucket.take(kBegin)) << i;
  }
  EXPECT_FALSE(bucket.take(kBegin));
  EXPECT_FALSE(bucket.take(kBegin + 400ms));
  EXPECT_TRUE(bucket.take(kBegin + 500ms));
  EXPECT_FALSE(bucket.full(kBegin + 1s));
  EXPECT_TRUE(bucket.full(kBegin + 1h));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(bucket.take(kBegin + 1h)) << i;
  }
  EXPECT_FALSE(bucket.take(kBegin + 1h)) << "no more than the burst is saved up";
}

TEST(TokenBucket, WhoReservesIsToldWhenItsTurnIs) {
  TokenBucket bucket({.per_second = 2, .burst = 1});
  EXPECT_EQ(bucket.reserve(kBegin), Duration(0));
  EXPECT_EQ(bucket.reserve(kBegin), 500ms);
  EXPECT_EQ(bucket.reserve(kBegin), 1s);
  EXPECT_EQ(bucket.reserve(kBegin + 1500ms), Duration(0));
}

}  // namespace
}  // namespace keelson
