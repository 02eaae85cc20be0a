// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/connection_table.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "cmd/keelson/output.h"

namespace keelson::cli {
namespace {

TEST(ConnectionRows, ByClient) {
  auto list = boost::json::parse(R"({"items": [
    {"protocol": "UDP", "client": "10.2.0.9:5353", "frontend": "10.96.0.10:53", "backend": "10.2.0.2:53",
     "source": "10.2.0.9:5353", "state": "ACTIVE", "masqueraded": false, "service": "kube-system/dns:dns",
     "idleSeconds": 12, "secondsLeft": 18},
    {"protocol": "TCP", "client": "10.1.0.3:40000", "frontend": "10.1.0.1:30080", "backend": "10.3.0.1:8080",
     "source": "10.1.0.1:1031", "state": "ESTABLISHED", "masqueraded": true, "service": "",
     "idleSeconds": 0, "secondsLeft": 86400}]})");
  EXPECT_EQ(format_table(connection_table(list, false, true)),
            "PROTO   CLIENT           FRONTEND         BACKEND         STATE         IDLE   SERVICE\n"
            "TCP     10.1.0.3:40000   10.1.0.1:30080   10.3.0.1:8080   ESTABLISHED   0s     <none>\n"
            "UDP     10.2.0.9:5353    10.96.0.10:53    10.2.0.2:53     ACTIVE        12s    kube-system/dns:dns\n");
  auto wide = connection_table(list, true, false);
  EXPECT_EQ(wide[0][7], "10.1.0.1:1031");
  EXPECT_EQ(wide[0][8], "yes");
  EXPECT_EQ(wide[1][9], "18s");
}

TEST(HolderRows, ClientsAndServices) {
  auto top = boost::json::parse(R"({"clients": [{"name": "10.1.0.3", "rows": 10, "masqueradePorts": 5}],
    "services": [{"name": "", "rows": 2, "masqueradePorts": 0}]})");
  EXPECT_EQ(format_table(holder_table(top, "clients", true)),
            "CLIENT     ROWS   MASQUERADE-PORTS\n"
            "10.1.0.3   10     5\n");
  EXPECT_EQ(format_table(holder_table(top, "services", false)), "<none>   2   0\n");
}

}  // namespace
}  // namespace keelson::cli
