// SPDX-License-Identifier: Apache-2.0
#include "common/cpu_set.h"

#include <gtest/gtest.h>

namespace keelson {
namespace {

TEST(CpuSet, IsReadAndWrittenAsTheKernelDoes) {
  EXPECT_EQ(*CpuSet::parse("0-3,6"), CpuSet({6, 0, 1, 2, 3, 6}));
  EXPECT_EQ(*CpuSet::parse(""), CpuSet());
  EXPECT_EQ(CpuSet::parse("7,3-5,4")->to_string(), "3-5,7");
  EXPECT_EQ(CpuSet({0, 1, 3}).to_string(), "0-1,3");
  EXPECT_EQ(CpuSet().to_string(), "");
}

TEST(CpuSet, WhatIsNoListIsRefused) {
  for (const char* wrong : {"a", "3-1", "1,", "1-", ",1", "1 2", "-1", "0-8192", "99999999999"}) {
    EXPECT_FALSE(CpuSet::parse(wrong)) << wrong;
  }
  EXPECT_EQ(CpuSet::parse("1-").error().message(), "'1-' is no list such as 0-3,6");
}

TEST(CpuSet, IsASet) {
  const CpuSet some({0, 1, 2});
  const CpuSet others({2, 3});
  EXPECT_EQ(some | others, CpuSet({0, 1, 2, 3}));
  EXPECT_EQ(some & others, CpuSet({2}));
  EXPECT_EQ(some - others, CpuSet({0, 1}));
  EXPECT_TRUE(some.meets(others));
  EXPECT_FALSE(some.meets(CpuSet({3})));
  EXPECT_TRUE(CpuSet({0, 2}).is_within(some));
  EXPECT_FALSE(others.is_within(some));
  EXPECT_TRUE(some.contains(2));
  EXPECT_FALSE(some.contains(3));
}

}  // namespace
}  // namespace keelson
