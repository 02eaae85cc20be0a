// SPDX-License-Identifier: Apache-2.0
#include "http/bind_address.h"

#include <gtest/gtest.h>

namespace keelson::http {
namespace {

std::string parsed(std::string_view text) {
  auto address = BindAddress::parse(text, 10256);
  return address ? address->to_string() : address.error().message();
}

TEST(BindAddressTest, IsAnAddressAndMaybeAPort) {
  EXPECT_EQ(parsed("0.0.0.0:80"), "0.0.0.0:80");
  EXPECT_EQ(parsed("127.0.0.1"), "127.0.0.1:10256");
  EXPECT_EQ(parsed("[::]:10249"), "[::]:10249");
  EXPECT_EQ(parsed("[::1]"), "[::1]:10256");
  EXPECT_EQ(parsed("fd00::1"), "[fd00::1]:10256");
}

TEST(BindAddressTest, AnythingElseIsRefused) {
  EXPECT_EQ(parsed("localhost:80"),
            "'localhost:80' is not an IP address and a port, such as 0.0.0.0:10256 or [::]:10256");
  EXPECT_EQ(parsed(""), "'' is not an IP address and a port, such as 0.0.0.0:10256 or [::]:10256");
  EXPECT_EQ(parsed(":10256"), "':10256' is not an IP address and a port, such as 0.0.0.0:10256 or [::]:10256");
  EXPECT_EQ(parsed("0.0.0.0:0"), "'0.0.0.0:0': '0' is not a port from 1 to 65535");
  EXPECT_EQ(parsed("0.0.0.0:65536"), "'0.0.0.0:65536': '65536' is not a port from 1 to 65535");
  EXPECT_EQ(parsed("0.0.0.0:80x"), "'0.0.0.0:80x': '80x' is not a port from 1 to 65535");
}

}  // namespace
}  // namespace keelson::http
