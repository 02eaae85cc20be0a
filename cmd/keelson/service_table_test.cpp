// SPDX-License-Identifier: Apache-2.0
// Services and endpoints beside what kubectl prints of the same objects.
#include "cmd/keelson/service_table.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "cmd/keelson/output.h"

namespace keelson::cli {
namespace {

const boost::json::value& services() {
  static const auto list = boost::json::parse(R"({"items": [
    {"metadata": {"name": "web", "namespace": "shop"},
     "spec": {"type": "NodePort", "clusterIPs": ["10.96.0.1", "fd96::1"], "externalTrafficPolicy": "Local",
              "externalIPs": ["203.0.113.9", "203.0.113.10"], "sessionAffinity": "ClientIP",
              "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
              "ports": [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080},
                        {"name": "dns", "port": 53, "protocol": "UDP"}]},
     "routing": {"routes": [{"port": "http", "family": "IPv4", "programmed": true, "newFlows": 5},
                            {"port": "dns", "family": "IPv4", "programmed": false, "newFlows": 0},
                            {"port": "http", "family": "IPv6", "programmed": true, "newFlows": 2}],
                 "endpoints": {"ready": 2, "serving": 3, "terminating": 1}}},
    {"metadata": {"name": "lb", "namespace": "shop"},
     "spec": {"type": "LoadBalancer", "clusterIPs": ["10.96.0.2"], "ports": [{"port": 443}]},
     "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.200"}, {"hostname": "lb.example.org"}]}}},
    {"metadata": {"name": "waits", "namespace": "shop"},
     "spec": {"type": "LoadBalancer", "clusterIPs": ["10.96.0.3"], "ports": [{"port": 443}]}},
    {"metadata": {"name": "headless", "namespace": "shop"}, "spec": {"clusterIP": "None", "clusterIPs": ["None"]}},
    {"metadata": {"name": "alias", "namespace": "shop"},
     "spec": {"type": "ExternalName", "externalName": "example.org"}}]})");
  return list;
}

TEST(ServiceTable, IsKubectls) {
  EXPECT_EQ(format_table(service_table(services(), {})),
            "NAME       TYPE           CLUSTER-IP   EXTERNAL-IP                PORT(S)               AGE\n"
            "web        NodePort       10.96.0.1    203.0.113.9,203.0.113.10   80:30080/TCP,53/UDP   <unknown>\n"
            "lb         LoadBalancer   10.96.0.2    198.51.100.20...           443/TCP               <unknown>\n"
            "waits      LoadBalancer   10.96.0.3    <pending>                  443/TCP               <unknown>\n"
            "headless   ClusterIP      None         <none>                     <none>                <unknown>\n"
            "alias      ExternalName   <none>       example.org                <none>                <unknown>\n");
}

TEST(ServiceTable, WideTellsWhatTheNodeMakesOfThem) {
  auto rows = service_table(services(), {.wide = true, .namespaces = true, .headers = false});
  EXPECT_EQ(rows[0], (std::vector<std::string>{"shop", "web", "NodePort", "10.96.0.1", "203.0.113.9,203.0.113.10",
                                               "80:30080/TCP,53/UDP", "<unknown>", "2/3 (not dns/IPv4)", "2/3/1", "7",
                                               "Cluster/Local", "ClientIP(60s)"}));
  EXPECT_EQ(rows[1][4], "198.51.100.200,lb.example.org");
  EXPECT_EQ(rows[3][7], "-");
  EXPECT_EQ(rows[3][11], "None");
}

const boost::json::value& endpoints() {
  static const auto list = boost::json::parse(R"({"items": [
    {"metadata": {"name": "web", "namespace": "shop"}, "subsets": [
      {"ports": [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}],
       "addresses": [{"ip": "10.2.0.2", "nodeName": "a", "zone": "z1", "local": true,
                      "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": "web-0"}},
                     {"ip": "fd02::3", "conditions": {"ready": true}}],
       "notReadyAddresses": [{"ip": "10.2.0.4", "conditions": {"serving": true, "terminating": true}},
                             {"ip": "10.2.0.5", "conditions": {"terminating": true}}, {"ip": "10.2.0.6"}]}]},
    {"metadata": {"name": "nobody", "namespace": "shop"}, "subsets": []}]})");
  return list;
}

TEST(EndpointTable, IsKubectls) {
  EXPECT_EQ(format_table(endpoint_table(endpoints(), {})),
            "NAME     ENDPOINTS                                              AGE\n"
            "web      10.2.0.2:8080,[fd02::3]:8080,10.2.0.2:53 + 1 more...   <unknown>\n"
            "nobody   <none>                                                 <unknown>\n");
}

TEST(EndpointTable, WideIsARowForEach) {
  auto rows = endpoint_table(endpoints(), {.wide = true});
  ASSERT_EQ(rows.size(), 11U);
  EXPECT_EQ(rows[0], (std::vector<std::string>{"NAME", "ENDPOINT", "PORT", "STATE", "NODE", "ZONE", "LOCAL", "POD"}));
  EXPECT_EQ(rows[1],
            (std::vector<std::string>{"web", "10.2.0.2:8080", "http/TCP", "Ready", "a", "z1", "yes", "web-0"}));
  EXPECT_EQ(rows[5][3], "Terminating");
  EXPECT_EQ(rows[7][3], "Stopped");
  EXPECT_EQ(rows[9], (std::vector<std::string>{"web", "10.2.0.6:8080", "http/TCP", "NotReady", "<none>", "<none>", "no",
                                               "<none>"}));
}

}  // namespace
}  // namespace keelson::cli
