// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/output.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace keelson::cli {
namespace {

namespace json = boost::json;

TEST(Table, PadsAsKubectl) {
  EXPECT_EQ(format_table({{"NAME", "READY", "AGE"}, {"web", "1/1", "5s"}, {"database-0", "0/1", "12m"}}),
            "NAME         READY   AGE\n"
            "web          1/1     5s\n"
            "database-0   0/1     12m\n");
}

TEST(Json, IndentsByFour) {
  EXPECT_EQ(format_json(json::parse(R"({"a":[1,"x"],"b":{},"c":{"d":null}})")),
            "{\n    \"a\": [\n        1,\n        \"x\"\n    ],\n    \"b\": {},\n    \"c\": {\n        \"d\": null\n   "
            " }\n}\n");
}

TEST(Yaml, SortsKeysAndQuotesWhatWouldNotBeAString) {
  EXPECT_EQ(
      format_yaml(json::parse(
          R"({"b":"true","a":1,"c":["x","1","2026-01-01T00:00:00Z","yes","0x10","plain text","1.5Gi"],"d":{},"e":null,"f":true})")),
      "a: 1\n"
      "b: \"true\"\n"
      "c:\n"
      "  - x\n"
      "  - \"1\"\n"
      "  - \"2026-01-01T00:00:00Z\"\n"
      "  - \"yes\"\n"
      "  - \"0x10\"\n"
      "  - plain text\n"
      "  - 1.5Gi\n"
      "d: {}\n"
      "e: null\n"
      "f: true\n");
}

TEST(Format, RefusesUnknownNames) {
  EXPECT_EQ(*parse_format("wide"), Format::wide);
  EXPECT_EQ(parse_format("xml").error().kind(), Kind::invalid);
}

TEST(Find, IsNullAlongAbsentPaths) {
  auto value = json::parse(R"({"a":{"b":"c"},"n":3,"l":[1]})");
  EXPECT_EQ(text_at(value, {"a", "b"}), "c");
  EXPECT_EQ(text_at(value, {"a", "x", "y"}, "none"), "none");
  EXPECT_EQ(text_at(value, {"n"}, "none"), "none");
  EXPECT_EQ(number_at(value, {"n"}), 3);
  EXPECT_EQ(list_at(value, {"l"}).size(), 1U);
  EXPECT_TRUE(list_at(value, {"a"}).empty());
}

}  // namespace
}  // namespace keelson::cli
