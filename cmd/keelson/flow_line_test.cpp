// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/flow_line.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace keelson::cli {
namespace {

TEST(FlowLine, TimeVerdictEndsServiceReason) {
  EXPECT_EQ(
      flow_line(boost::json::parse(R"({"time": "2026-01-02T15:04:05.123456789Z", "verdict": "DROPPED",
    "protocol": "TCP", "source": "10.2.0.1:4711", "sourcePod": "shop/cart-0", "destination": "10.96.0.1:80",
    "service": "shop/web:http", "reason": "no_local_endpoint", "text": "no endpoint on this node"})")),
      "15:04:05.123 DROPPED   TCP  10.2.0.1:4711 (shop/cart-0) -> 10.96.0.1:80 shop/web:http (no endpoint on this "
      "node)");
  EXPECT_EQ(flow_line(boost::json::parse(R"({"time": "2026-01-02T15:04:05.123456789Z", "verdict": "FORWARDED",
    "protocol": "UDP", "source": "10.1.0.3:1", "destination": "10.1.0.1:30053", "service": "shop/dns",
    "backend": "10.2.0.2:53", "backendPod": "shop/dns-0", "masqueradedAs": "10.1.0.1:1031", "text": "a flow began"})")),
            "15:04:05.123 FORWARDED UDP  10.1.0.3:1 -> 10.1.0.1:30053 shop/dns => 10.2.0.2:53 (shop/dns-0) as "
            "10.1.0.1:1031");
  EXPECT_EQ(flow_line(boost::json::parse(R"({"time": "2026-01-02T15:04:05.123456789Z", "verdict": "REJECTED",
    "protocol": "TCP", "destination": "10.96.0.9:80", "service": "", "text": "connect() was refused"})")),
            "15:04:05.123 REJECTED  TCP  * -> 10.96.0.9:80 (connect() was refused)");
  EXPECT_EQ(flow_line(boost::json::parse(R"({"lost": 3})")), "... 3 events were not told: more than this reader takes");
}

}  // namespace
}  // namespace keelson::cli
