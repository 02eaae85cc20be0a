// SPDX-License-Identifier: Apache-2.0
// Quantities: what is accepted, how it prints, how it rounds.
#include "kube/quantity.h"

#include <gtest/gtest.h>

#include <vector>

namespace keelson::kube {
namespace {

struct Printed {
  std::string_view text;
  std::string_view canonical;
};

TEST(Quantity, PrintsCanonically) {
  const std::vector<Printed> cases = {{"0", "0"},
                                      {"0Mi", "0"},
                                      {"64Mi", "64Mi"},
                                      {"250m", "250m"},
                                      {"0.5", "500m"},
                                      {"1000m", "1"},
                                      {"1500m", "1500m"},
                                      {"2048Ki", "2Mi"},
                                      {"1000Ki", "1000Ki"},
                                      {"1.5Gi", "1536Mi"},
                                      {"1000", "1k"},
                                      {"100000", "100k"},
                                      {"1200000", "1200k"},
                                      {"1e3", "1e3"},
                                      {"12e3", "12e3"},
                                      {"1.5e3", "1500"},
                                      {"1E", "1E"},
                                      {"1E3", "1e3"},
                                      {"100Ki", "100Ki"},
                                      {"0.5Ki", "512"},
                                      {"1.5", "1500m"},
                                      {"-1.5Gi", "-1536Mi"},
                                      {"+2", "2"},
                                      {"5.", "5"},
                                      {".5", "500m"},
                                      {"0.1Ki", "102400m"},
                                      {"1n", "1n"},
                                      {"0.1n", "1n"},
                                      {"-0.1n", "-1n"},
                                      {"123456789n", "123456789n"},
                                      {"0.000000001", "1n"},
                                      {"1u", "1u"},
                                      {"128974848", "128974848"},
                                      {"129e6", "129e6"},
                                      {"129M", "129M"},
                                      {"9223372036854775807", "9223372036854775807"},
                                      {"9223372036854775808", "9223372036854775807"},
                                      {"100E", "9223372036854775807"},
                                      {"100Ei", "9223372036854775807"},
                                      {"1e99", "9223372036854775807"},
                                      {"1e-99", "1e-9"},
                                      {"0e99", "0"},
                                      {"00012", "12"},
                                      {"1.0000000000", "1"},
                                      {"7Ei", "7Ei"},
                                      {"0.0000000001Gi", "107374183n"}};
  for (const auto& [text, canonical] : cases) {
    const auto quantity = Quantity::parse(text);
    ASSERT_TRUE(quantity) << text;
    EXPECT_EQ(quantity->to_string(), canonical) << text;
    EXPECT_EQ(Quantity::parse(quantity->to_string())->to_string(), canonical) << text;
  }
}

TEST(Quantity, RefusesWhatIsNone) {
  for (const std::string_view text :
       {"",   " ",       ".",  "-",    "+",    "1.1.1", "1 ",  " 1",  "0.1mi", "0.1am", "aoeu", ".5i",
        "1i", "-3.01e-", "1e", "1ee3", "0x10", "1Mib",  "1KB", "--1", "1,5",   "e3",    "Mi"}) {
    EXPECT_FALSE(Quantity::parse(text)) << text;
  }
  EXPECT_EQ(Quantity::parse("1GB").error().what(),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

TEST(Quantity, RoundsUpToWholeAndMilli) {
  EXPECT_EQ(Quantity::parse("1.5")->whole(), 2);
  EXPECT_EQ(Quantity::parse("100m")->whole(), 1);
  EXPECT_EQ(Quantity::parse("-1.5")->whole(), -2);
  EXPECT_EQ(Quantity::parse("64Mi")->whole(), 67'108'864);
  EXPECT_EQ(Quantity::parse("250m")->milli(), 250);
  EXPECT_EQ(Quantity::parse("1u")->milli(), 1);
  EXPECT_EQ(Quantity::parse("2")->milli(), 2000);
  EXPECT_EQ(Quantity::parse("9E")->milli(), INT64_MAX);
  EXPECT_EQ(Quantity::parse("1500m")->in_units_of(*Quantity::parse("1")), 2);
  EXPECT_EQ(Quantity::parse("100Mi")->in_units_of(*Quantity::parse("1Mi")), 100);
  EXPECT_EQ(Quantity::parse("3")->in_units_of(Quantity()), 3);
}

TEST(Quantity, ComparesAndAddsByValue) {
  EXPECT_EQ(*Quantity::parse("1Gi"), *Quantity::parse("1024Mi"));
  EXPECT_LT(*Quantity::parse("999m"), *Quantity::parse("1"));
  EXPECT_EQ((*Quantity::parse("100m") + *Quantity::parse("900m")).to_string(), "1");
  EXPECT_EQ((Quantity() + *Quantity::parse("64Mi")).to_string(), "64Mi");
  EXPECT_EQ((*Quantity::parse("64Mi") - *Quantity::parse("65Mi")).to_string(), "-1Mi");
  EXPECT_EQ((*Quantity::parse("9E") + *Quantity::parse("9E")).whole(), INT64_MAX);
  EXPECT_EQ(Quantity::of_milli(250).to_string(), "250m");
  EXPECT_EQ(Quantity::of(1 << 20, Quantity::Format::binary_si).to_string(), "1Mi");
  EXPECT_TRUE(Quantity::of(-1).negative());
  EXPECT_FALSE(Quantity::of_milli(1).integral());
}

}  // namespace
}  // namespace keelson::kube
