// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/network_status.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace keelson::cli {
namespace {

TEST(NetworkStatus, ProgramsLinksTablesSourceAndLastSync) {
  auto status = boost::json::parse(R"({"node": "here", "synced": true, "routedServices": 3,
    "source": {"from": "API servers", "trouble": "no answer since 15:04:05", "services": 2, "endpointSlices": 4},
    "lastSync": {"time": "", "changed": 3, "failed": 1, "microseconds": 1234},
    "programs": {"sockets": {"cgroup": "/sys/fs/cgroup", "hooks": ["connect4", "connect6"]},
                 "links": [{"name": "eth0", "index": 2, "kind": "uplink", "hooks": ["tc-ingress", "tc-egress", "xdp"]},
                           {"name": "", "index": 7, "kind": "pod", "hooks": []}]},
    "maps": {"bytes": 19398656, "budget": 268435456, "growths": 2, "refused": [{"map": "slots", "rows": 70000}]},
    "tables": [{"name": "services", "used": 3, "of": 65535}, {"name": "frontends", "used": 9, "of": 131072}]})");
  EXPECT_EQ(format_network_status(status),
            "Network:     in sync, 3 services routed on here\n"
            "Source:      API servers: 2 services, 4 endpoint slices; no answer since 15:04:05\n"
            "Last sync:   <unknown> ago, 3 changed, 1 failed, 1.2ms\n"
            "Sockets:     2 hooks in /sys/fs/cgroup\n"
            "Maps:        18.5 of 256 MiB, grown 2 times; no room for 70000 rows of slots (--bpf-memory)\n"
            "\n"
            "LINK        KIND     HOOKS\n"
            "eth0        uplink   tc-ingress,tc-egress,xdp\n"
            "<gone: 7>   pod      <none>\n"
            "\n"
            "TABLE       USED   OF\n"
            "services    3      65535\n"
            "frontends   9      131072\n");
  EXPECT_TRUE(format_network_status(boost::json::parse(R"({"node": "here", "synced": false})"))
                  .starts_with("Network:     waiting for its source, 0 services routed on here\n"));
}

}  // namespace
}  // namespace keelson::cli
