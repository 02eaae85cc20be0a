// SPDX-License-Identifier: Apache-2.0
// CRI's resources as limits.
#include "cri/runtime/resources.h"

#include <gmock/gmock.h>

namespace keelson::cri {

TEST(LimitsOf, NothingAskedForLeavesAll) {
  const auto limits = limits_of({});
  EXPECT_EQ(limits.memory, 0);
  EXPECT_EQ(limits.memory_swap, 0);
  EXPECT_EQ(limits.cpu_quota, 0);
}

TEST(LimitsOf, MemoryWithoutALimitOfSwapHasNone) {
  ::runtime::v1::LinuxContainerResources resources;
  resources.set_memory_limit_in_bytes(100);
  EXPECT_EQ(limits_of(resources).memory_swap, 100);
  resources.set_memory_swap_limit_in_bytes(150);
  EXPECT_EQ(limits_of(resources).memory_swap, 150);
  resources.set_memory_limit_in_bytes(-1);
  resources.set_memory_swap_limit_in_bytes(0);
  EXPECT_EQ(limits_of(resources).memory_swap, -1);
}

TEST(LimitsOf, ListsAndMaps) {
  ::runtime::v1::LinuxContainerResources resources;
  auto* pages = resources.add_hugepage_limits();
  pages->set_page_size("2MB");
  pages->set_limit(4 << 20);
  (*resources.mutable_unified())["memory.high"] = "1000";
  (*resources.mutable_unified())["memory.oom.group"] = "1";
  const auto limits = limits_of(resources);
  ASSERT_EQ(limits.huge_pages.size(), 1u);
  EXPECT_EQ(limits.huge_pages[0].page_size, "2MB");
  EXPECT_EQ(limits.huge_pages[0].bytes, 4u << 20);
  EXPECT_EQ(limits.unified.at("memory.high"), "1000");
  EXPECT_EQ(limits.unified.at("memory.oom.group"), "1");
}

TEST(UsualDevices, AreBeforeTheOthers) {
  const auto rules = with_usual_devices({"c 10:200 rw"});
  EXPECT_THAT(rules, testing::Contains("c 1:3 rwm"));
  EXPECT_EQ(rules.back(), "c 10:200 rw");
}

}  // namespace keelson::cri
