// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/explanation.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace keelson::cli {
namespace {

TEST(Explanation, OfAFlowThatGoesOn) {
  auto why = boost::json::parse(R"({"from": "outside", "source": "10.1.0.3:4000", "to": "10.1.0.1:30080",
    "protocol": "TCP", "outcome": "FORWARD", "reason": "it has one endpoint", "service": "shop/web:http",
    "frontend": "NodePort", "programmed": true, "decidedBy": "tc", "masqueradeAs": "10.1.0.1",
    "endpoints": [{"address": "10.2.0.2:8080", "local": true, "serving": true, "mayBeChosen": true, "chosen": true,
                   "pod": "shop/web-0"},
                  {"address": "10.3.0.1:8080", "local": false, "serving": false, "mayBeChosen": false}],
    "connections": [{"protocol": "TCP", "client": "10.1.0.3:4000", "frontend": "10.1.0.1:30080",
                     "backend": "10.2.0.2:8080", "state": "ESTABLISHED", "idleSeconds": 3, "service": "shop/web:http"}]})");
  EXPECT_EQ(format_explanation(why),
            "10.1.0.3:4000 (outside) -> 10.1.0.1:30080/TCP\n"
            "service:     shop/web:http, NodePort\n"
            "decided:     packet by packet (tc)\n"
            "verdict:     FORWARD: it has one endpoint\n"
            "source:      masqueraded as 10.1.0.1\n"
            "endpoints:\n"
            "  ENDPOINT        TAKES NEW FLOWS   SERVING   LOCAL   POD\n"
            "* 10.2.0.2:8080   yes               yes       yes     shop/web-0\n"
            "  10.3.0.1:8080   no                no        no      <none>\n"
            "connections:\n"
            "PROTO   CLIENT          FRONTEND         BACKEND         STATE         IDLE   SERVICE\n"
            "TCP     10.1.0.3:4000   10.1.0.1:30080   10.2.0.2:8080   ESTABLISHED   3s     shop/web:http\n");
}

TEST(Explanation, OfOneThatDoesNot) {
  EXPECT_EQ(format_explanation(boost::json::parse(R"({"from": "pod", "to": "10.96.0.7:80", "protocol": "TCP",
    "outcome": "NO SERVICE", "reason": "no service has 10.96.0.7 port 80/TCP", "connections": []})")),
            "any pod -> 10.96.0.7:80/TCP\n"
            "verdict:     NO SERVICE: no service has 10.96.0.7 port 80/TCP\n");
}

}  // namespace
}  // namespace keelson::cli
