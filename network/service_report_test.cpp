// SPDX-License-Identifier: Apache-2.0
#include "network/service_report.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "kube/codec.h"

namespace keelson::network {
namespace {

namespace json = boost::json;

constexpr const char* kService = R"(
kind: Service
metadata: {name: web, namespace: shop, creationTimestamp: "2026-01-02T03:04:05Z", labels: {app: web}}
spec:
  type: NodePort
  clusterIPs: [10.96.0.1]
  selector: {app: web}
  ports: [{name: http, port: 80, nodePort: 30080}, {name: dns, port: 53, protocol: UDP}]
)";
constexpr const char* kSlice = R"(
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: dns, port: 8053, protocol: UDP}]
endpoints:
- {addresses: [10.2.0.2], nodeName: here, zone: z1, targetRef: {kind: Pod, namespace: shop, name: web-0}}
- {addresses: [10.3.0.1], nodeName: there, conditions: {ready: false, serving: true, terminating: true}}
- {addresses: [10.3.0.2], nodeName: there, conditions: {ready: false}}
)";

class ServiceReportTest : public ::testing::Test {
 protected:
  ServiceReportTest() : translator_({.node_name = "here"}) {
    translator_.apply({.services = *kube::decode_services(kService), .slices = *kube::decode_endpoint_slices(kSlice)});
  }
  dataplane::Translator translator_;
};

TEST_F(ServiceReportTest, AServiceAsTheApiHasItAndItsRoutes) {
  auto states = [](const dataplane::ServiceKey& key) {
    return key.name == "shop/web:http" ? RouteState{true, 7} : RouteState{};
  };
  auto service = json::parse(service_json(*translator_.find("shop/web"), translator_.model(), states, "here"));
  EXPECT_EQ(service.at("kind"), "Service");
  EXPECT_EQ(service.at_pointer("/metadata/creationTimestamp"), "2026-01-02T03:04:05Z");
  EXPECT_EQ(service.at_pointer("/spec/type"), "NodePort");
  EXPECT_EQ(service.at_pointer("/spec/ports/0/nodePort"), 30080);
  EXPECT_FALSE(service.at("spec").as_object().contains("sessionAffinityConfig"));
  EXPECT_EQ(json::serialize(service.at("routing")),
            R"({"routes":[{"port":"dns","family":"IPv4","protocol":"UDP","programmed":false,"newFlows":0,)"
            R"("algorithm":"Hash","frontends":[{"kind":"ClusterIP","address":"10.96.0.1","port":53}]},)"
            R"({"port":"http","family":"IPv4","protocol":"TCP","programmed":true,"newFlows":7,"algorithm":"Hash",)"
            R"("frontends":[{"kind":"ClusterIP","address":"10.96.0.1","port":80}]}],)"
            R"("endpoints":{"total":3,"ready":1,"serving":2,"terminating":1,"local":1}})");
}

TEST_F(ServiceReportTest, EndpointsWithTheirPods) {
  auto endpoints = json::parse(endpoints_json(*translator_.find("shop/web"), "here"));
  const auto& subset = endpoints.at_pointer("/subsets/0");
  ASSERT_EQ(subset.at("addresses").as_array().size(), 1U);
  EXPECT_EQ(json::serialize(subset.at_pointer("/addresses/0")),
            R"({"ip":"10.2.0.2","conditions":{"ready":true,"serving":true,"terminating":false},"local":true,)"
            R"("nodeName":"here","zone":"z1","targetRef":{"kind":"Pod","namespace":"shop","name":"web-0"}})");
  EXPECT_EQ(subset.at("notReadyAddresses").as_array().size(), 2U);
  EXPECT_EQ(subset.at_pointer("/notReadyAddresses/0/conditions/terminating"), true);
  EXPECT_EQ(subset.at_pointer("/ports/1/port"), 8053);
}

}  // namespace
}  // namespace keelson::network
