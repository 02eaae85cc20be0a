// SPDX-License-Identifier: Apache-2.0
#include "common/duration.h"

#include <gtest/gtest.h>

namespace keelson {
namespace {

using namespace std::chrono_literals;

TEST(Duration, AsGoWritesThem) {
  EXPECT_EQ(*parse_duration("4h0m0s"), 4h);
  EXPECT_EQ(*parse_duration("1m30s500ms"), 90'500ms);
  EXPECT_EQ(*parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(*parse_duration(".25m"), 15s);
  EXPECT_EQ(*parse_duration("7us3ns"), 7003ns);
  EXPECT_EQ(*parse_duration("0"), 0s);
}

TEST(Duration, AsGoPrintsThem) {
  EXPECT_EQ(duration_text(0s), "0s");
  EXPECT_EQ(duration_text(7ns), "7ns");
  EXPECT_EQ(duration_text(7050ns), "7.05\u00b5s");
  EXPECT_EQ(duration_text(313ms), "313ms");
  EXPECT_EQ(duration_text(1001us), "1.001ms");
  EXPECT_EQ(duration_text(1s), "1s");
  EXPECT_EQ(duration_text(1594ms), "1.594s");
  EXPECT_EQ(duration_text(90'500ms), "1m30.5s");
  EXPECT_EQ(duration_text(4h), "4h0m0s");
  EXPECT_EQ(duration_text(25h + 3min + 5s), "25h3m5s");
  EXPECT_EQ(duration_text(-1500ms), "-1.5s");
}

TEST(Duration, NothingElse) {
  for (const auto* wrong : {"", "4", "h", "s", ".", ".s", "-1s", "+1s", "1s ", " 1s", "4 hours", "1e3s", "infs", "nans",
                            "0x1s", "999999999999h"}) {
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace keelson
