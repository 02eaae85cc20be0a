// SPDX-License-Identifier: Apache-2.0
// Services and EndpointSlices from text: what routing reads of them, and what is wrong with them.
#include "kube/service.h"

#include <gtest/gtest.h>

#include "kube/codec.h"

namespace keelson::kube {
namespace {

constexpr const char* kService = R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: LoadBalancer
  clusterIPs: [10.96.0.7, "fd96::7"]
  ipFamilies: [IPv4, IPv6]
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
  externalIPs: [203.0.113.9]
  loadBalancerSourceRanges: ["198.51.100.0/24", " 10.0.0.0/8 "]
  internalTrafficPolicy: Local
  externalTrafficPolicy: Local
  healthCheckNodePort: 32111
  trafficDistribution: PreferSameZone
  ports: [{name: http, port: 80, nodePort: 30080}]
status:
  loadBalancer:
    ingress: [{ip: 203.0.113.20, ipMode: VIP}, {ip: 203.0.113.21, ipMode: Proxy}, {hostname: lb.example.org}]
)";

constexpr const char* kSlice = R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-abc, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- addresses: [10.1.0.4]
  nodeName: a
  zone: z1
  targetRef: {kind: Pod, namespace: shop, name: web-0, uid: "1"}
  hints: {forZones: [{name: z1}, {name: z2}], forNodes: [{name: a}]}
- addresses: [10.1.0.5]
  conditions: {ready: false, serving: true, terminating: true}
)";

std::vector<std::string> errors_of(const std::string& text) {
  std::vector<std::string> errors;
  for (const auto& document : decode_documents(text, "f")) {
    for (const auto& problem : document.errors) {
      errors.push_back(problem.path + ": " + problem.text);
    }
  }
  return errors;
}

TEST(ServiceTest, EveryFieldThatRoutingReads) {
  auto documents = decode_documents(kService, "web.yaml");
  ASSERT_EQ(documents.size(), 1U);
  ASSERT_TRUE(documents[0].object) << documents[0].errors.at(0).message();
  EXPECT_TRUE(documents[0].warnings.empty());
  const auto& service = std::get<Service>(*documents[0].object);
  EXPECT_EQ(service.cluster_ip, "10.96.0.7");
  EXPECT_EQ(service.cluster_ips.size(), 2U);
  EXPECT_EQ(service.ip_families, (std::vector{IpFamily::ipv4, IpFamily::ipv6}));
  EXPECT_EQ(service.session_affinity, SessionAffinity::client_ip);
  EXPECT_EQ(service.affinity_seconds, 60);
  EXPECT_EQ(service.external_ips, std::vector<std::string>{"203.0.113.9"});
  EXPECT_EQ(service.load_balancer_source_ranges.size(), 2U);
  EXPECT_EQ(service.internal_traffic_policy, TrafficPolicy::local);
  EXPECT_EQ(service.external_traffic_policy, TrafficPolicy::local);
  EXPECT_EQ(service.health_check_node_port, 32111);
  ASSERT_EQ(service.ingress.size(), 3U);
  EXPECT_EQ(service.ingress[1].ip_mode, IpMode::proxy);
  EXPECT_EQ(service.ingress[2].hostname, "lb.example.org");
}

TEST(EndpointSliceTest, EveryFieldThatRoutingReads) {
  auto documents = decode_documents(kSlice, "slice.yaml");
  ASSERT_EQ(documents.size(), 1U);
  ASSERT_TRUE(documents[0].object) << documents[0].errors.at(0).message();
  const auto& slice = std::get<EndpointSlice>(*documents[0].object);
  ASSERT_EQ(slice.endpoints.size(), 2U);
  EXPECT_EQ(slice.endpoints[0].zone_hints, (std::vector<std::string>{"z1", "z2"}));
  EXPECT_EQ(slice.endpoints[0].node_hints, std::vector<std::string>{"a"});
  EXPECT_FALSE(slice.endpoints[0].ready);
  EXPECT_EQ(slice.endpoints[0].target_kind + " " + slice.endpoints[0].target_ns + "/" + slice.endpoints[0].target_name,
            "Pod shop/web-0");
  EXPECT_EQ(slice.endpoints[1].ready, false);
  EXPECT_EQ(slice.endpoints[1].serving, true);
  EXPECT_EQ(slice.ports[0].port, 8080);
}

TEST(ServiceTest, TheWayThereAndBack) {
  auto service = std::get<Service>(*decode_documents(kService, "web.yaml")[0].object);
  auto again = decode_services(encode_json(service));
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->at(0), service);
}

TEST(ServiceTest, WhatIsWrongIsNamed) {
  auto errors = errors_of(R"({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {
    "clusterIPs": ["10.0.0.300"], "externalIPs": ["x"], "loadBalancerSourceRanges": ["10.0.0.0/33"],
    "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}},
    "healthCheckNodePort": 70000, "ports": [{"port": 80}]}})");
  ASSERT_EQ(errors.size(), 6U) << testing::PrintToString(errors);
  EXPECT_TRUE(errors[0].starts_with("spec.clusterIPs[0]: Invalid value: \"10.0.0.300\"")) << errors[0];
  EXPECT_TRUE(errors[2].starts_with("spec.externalIPs[0]: Invalid value")) << errors[2];
  EXPECT_TRUE(errors[3].starts_with("spec.loadBalancerSourceRanges[0]: Invalid value")) << errors[3];
  EXPECT_TRUE(errors[4].starts_with("spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0"))
      << errors[4];
  EXPECT_TRUE(errors[5].starts_with("spec.healthCheckNodePort: Invalid value: 70000")) << errors[5];
}

TEST(EndpointSliceTest, WhatIsWrongIsNamed) {
  auto errors = errors_of(R"({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "a"},
    "addressType": "IPv6", "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": []}],
    "ports": [{"port": 0}, {"port": 1}]})");
  ASSERT_EQ(errors.size(), 4U) << testing::PrintToString(errors);
  EXPECT_EQ(errors[0], "endpoints[0].addresses[0]: Invalid value: \"10.0.0.1\": must be an IPv6 address");
  EXPECT_TRUE(errors[1].starts_with("endpoints[1].addresses: Required value"));
  EXPECT_TRUE(errors[2].starts_with("ports[0].port: Invalid value: 0"));
  EXPECT_TRUE(errors[3].starts_with("ports[1].name: Duplicate value"));
  EXPECT_FALSE(errors_of(R"({"apiVersion": "v1", "kind": "EndpointSlice", "metadata": {"name": "a"}})").empty());
}

TEST(ServiceTest, ListsOfTheApiServer) {
  auto services = decode_services(R"({"kind": "ServiceList", "apiVersion": "v1", "items": [{"metadata": {"name": "a"},
    "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80}]}}]})");
  ASSERT_TRUE(services) << services.error().message();
  ASSERT_EQ(services->size(), 1U);
  EXPECT_EQ(services->front().cluster_ips, std::vector<std::string>{"10.0.0.1"});
  EXPECT_EQ(services->front().metadata.ns, "default");
}

}  // namespace
}  // namespace keelson::kube
