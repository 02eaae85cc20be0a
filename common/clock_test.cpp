// SPDX-License-Identifier: Apache-2.0
#include "common/clock.h"

#include <gtest/gtest.h>

namespace keelson {
namespace {

using namespace std::chrono_literals;

TEST(Rfc3339, RoundTripsAndTakesOffsets) {
  auto time = WallTime(1'700'000'000s + 5ns);
  EXPECT_EQ(format_rfc3339(time), "2023-11-14T22:13:20Z");
  EXPECT_EQ(format_rfc3339_nano(time), "2023-11-14T22:13:20.000000005Z");
  EXPECT_EQ(*parse_rfc3339("2023-11-14T22:13:20.000000005Z"), time);
  EXPECT_EQ(*parse_rfc3339("2023-11-15T00:13:20+02:00"), WallTime(1'700'000'000s));
}

TEST(Rfc3339, RefusesOtherText) {
  for (const char* text : {"", "yesterday", "2023-11-14", "2023-11-14T22:13:20", "2023-11-14T22:13:20+2"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
}

TEST(HumanDuration, IsKubectls) {
  EXPECT_EQ(human_duration(-1s), "0s");
  EXPECT_EQ(human_duration(119s), "119s");
  EXPECT_EQ(human_duration(120s), "2m");
  EXPECT_EQ(human_duration(192s), "3m12s");
  EXPECT_EQ(human_duration(11min), "11m");
  EXPECT_EQ(human_duration(3h), "3h");
  EXPECT_EQ(human_duration(3h + 5min), "3h5m");
  EXPECT_EQ(human_duration(50h), "2d2h");
  EXPECT_EQ(human_duration(24h * 9), "9d");
}

}  // namespace
}  // namespace keelson
