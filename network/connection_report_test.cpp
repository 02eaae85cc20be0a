// SPDX-License-Identifier: Apache-2.0
#include "network/connection_report.h"

#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

namespace keelson::network {
namespace {

ebpf::Connection connection(const std::string& client, bool reply, bool masqueraded = false) {
  auto at = [](const std::string& address, uint16_t port) {
    return ebpf::SocketAddress{*dataplane::Address::parse(address), port};
  };
  ebpf::Connection result{.client = at(client, 4000),
                          .frontend = at("fd96::1", 80),
                          .backend = at("10.2.0.2", 8080),
                          .source = at(client, 1)};
  result.reply = reply;
  result.masqueraded = masqueraded;
  result.idle = std::chrono::milliseconds(2500);
  return result;
}

TEST(ConnectionFilter, EachPartNarrows) {
  auto filter = [](std::multimap<std::string, std::string> query) {
    return ConnectionFilter::parse({.path = {}, .query = std::move(query)});
  };
  auto one = connection("10.1.0.3", false);
  EXPECT_TRUE(filter({})->takes(one, "a/web:http"));
  EXPECT_TRUE(filter({{"service", "a/web"}})->takes(one, "a/web:http"));
  EXPECT_TRUE(filter({{"service", "a/web:http"}})->takes(one, "a/web:http"));
  EXPECT_FALSE(filter({{"service", "a/we"}})->takes(one, "a/web:http"));
  EXPECT_FALSE(filter({{"service", "a/web"}})->takes(one, "a/web-2:http"));
  EXPECT_TRUE(filter({{"client", "10.1.0.0/16"}, {"protocol", "tcp"}})->takes(one, ""));
  EXPECT_FALSE(filter({{"client", "10.1.0.4"}})->takes(one, ""));
  EXPECT_FALSE(filter({{"protocol", "UDP"}})->takes(one, ""));
  EXPECT_TRUE(filter({})->empty());
  EXPECT_EQ(filter({{"client", "x"}}).error().kind(), Kind::invalid);
  EXPECT_EQ(filter({{"protocol", "icmp"}}).error().kind(), Kind::invalid);
}

TEST(ConnectionJson, AllThatPeopleAsk) {
  EXPECT_EQ(boost::json::serialize(connection_json(connection("10.1.0.3", false), "a/web")),
            R"({"protocol":"TCP","client":"10.1.0.3:4000","frontend":"[fd96::1]:80","backend":"10.2.0.2:8080",)"
            R"("source":"10.1.0.3:1","state":"ACTIVE","masqueraded":false,"tunnelled":false,"service":"a/web",)"
            R"("idleSeconds":2,"secondsLeft":0})");
}

TEST(ConnectionTop, NamesWhoHoldsMost) {
  ConnectionTop top;
  for (int i = 0; i < 3; i++) {
    top.add(connection("10.1.0.3", false, true), "a/web");
    top.add(connection("10.1.0.3", true, true), "a/web");
  }
  top.add(connection("10.1.0.4", false), "a/dns");
  top.add(connection("10.1.0.5", false), "a/dns");
  EXPECT_EQ(
      boost::json::serialize(top.take(2, 100)),
      R"({"rows":8,"of":100,"masqueradePorts":3,)"
      R"("clients":[{"name":"10.1.0.3","rows":6,"masqueradePorts":3},)"
      R"({"name":"10.1.0.4","rows":1,"masqueradePorts":0}],)"
      R"("services":[{"name":"a/web","rows":6,"masqueradePorts":3},{"name":"a/dns","rows":2,"masqueradePorts":0}]})");
}

}  // namespace
}  // namespace keelson::network
