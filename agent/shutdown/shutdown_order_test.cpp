// SPDX-License-Identifier: Apache-2.0
// Who ends when, by priority.
#include "agent/shutdown/shutdown_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

kube::Pod pod(const std::string& name, std::optional<int32_t> priority) {
  kube::Pod made;
  made.metadata.name = name;
  made.spec.priority = priority;
  return made;
}

std::vector<std::string> print(const std::vector<ShutdownGroup>& groups) {
  std::vector<std::string> lines;
  for (const auto& group : groups) {
    auto line = std::to_string(group.period.priority) + " " + std::to_string(group.period.grace.count()) + "s:";
    for (const auto* one : group.pods) {
      line += " " + one->metadata.name;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

TEST(ShutdownPeriods, AreTwoUnlessTheyAreGiven) {
  EXPECT_THAT(shutdown_periods(30s, 10s), ElementsAre(ShutdownPeriod{.priority = 0, .grace = 20s},
                                                      ShutdownPeriod{.priority = 2'000'000'000, .grace = 10s}));
  EXPECT_THAT(shutdown_periods(0s, 0s), IsEmpty());
  EXPECT_THAT(shutdown_periods(10s, 20s), IsEmpty());
  EXPECT_EQ(shutdown_time(shutdown_periods(30s, 10s)), 30s);
}

TEST(ShutdownGroups, TheLeastImportantEndFirst) {
  const std::vector<kube::Pod> pods = {pod("critical", 2'000'001'000), pod("plain", std::nullopt), pod("low", -10),
                                       pod("high", 1000), pod("edge", 2'000'000'000)};
  EXPECT_THAT(print(shutdown_groups(shutdown_periods(30s, 10s), pods)),
              ElementsAre("0 20s: plain low high", "2000000000 10s: critical edge"));
  EXPECT_THAT(print(shutdown_groups({{.priority = 1000, .grace = 3s},
                                     {.priority = 100000, .grace = 9s},
                                     {.priority = -100, .grace = 1s},
                                     {.priority = 0, .grace = 2s}},
                                    pods)),
              ElementsAre("-100 1s: low", "0 2s: plain", "1000 3s: high", "100000 9s: critical edge"));
  EXPECT_THAT(print(shutdown_groups({{.priority = 5, .grace = 1s}, {.priority = 7, .grace = 2s}}, {pod("below", 1)})),
              ElementsAre("5 1s: below"));
}

}  // namespace
}  // namespace keelson::agent
