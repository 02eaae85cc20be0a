// SPDX-License-Identifier: Apache-2.0
#include "kube/pack.h"

#include <gtest/gtest.h>

namespace keelson::kube {
namespace {

TEST(Pack, EveryFieldOfAService) {
  Service service;
  service.metadata = {.name = "web",
                      .generate_name = "w",
                      .ns = "shop",
                      .uid = "u",
                      .labels = {{"a", "1"}, {"b", ""}},
                      .annotations = {{"c", std::string(300, 'x')}},
                      .creation_timestamp = WallTime(std::chrono::nanoseconds(1'700'000'000'123'456'789)),
                      .deletion_timestamp = WallTime(std::chrono::nanoseconds(-5)),
                      .deletion_grace_period_seconds = 0,
                      .generation = int64_t{1} << 60,
                      .resource_version = "77",
                      .owner_references = {{"v1", "Pod", "p", "u", true, std::nullopt}},
                      .finalizers = {"f", ""}};
  service.type = ServiceType::load_balancer;
  service.cluster_ip = "10.0.0.1";
  service.cluster_ips = {"10.0.0.1", "fd00::1"};
  service.ip_families = {IpFamily::ipv4, IpFamily::ipv6};
  service.ports = {{"http", Protocol::udp, "h2c", 80, {std::string("named")}, 30080}, {"", {}, "", 0, {-7}, 0}};
  service.selector = {{"app", "web"}};
  service.session_affinity = SessionAffinity::client_ip;
  service.affinity_seconds = 86400;
  service.external_ips = {"192.0.2.1"};
  service.load_balancer_source_ranges = {" 10.0.0.0/8"};
  service.internal_traffic_policy = TrafficPolicy::local;
  service.external_traffic_policy = TrafficPolicy::local;
  service.health_check_node_port = 32000;
  service.publish_not_ready_addresses = true;
  service.traffic_distribution = "PreferClose";
  service.external_name = "elsewhere";
  service.ingress = {{"192.0.2.2", "h", IpMode::proxy}, {"192.0.2.3", "", std::nullopt}};
  EXPECT_EQ(unpack_service(pack(service)), service);
  EXPECT_EQ(unpack_service(pack(Service())), Service());
}

TEST(Pack, EveryFieldOfAnEndpointSlice) {
  EndpointSlice slice;
  slice.metadata = {.name = "web-1", .ns = "shop"};
  slice.address_type = AddressType::ipv6;
  slice.endpoints = {{.addresses = {"fd00::1", "fd00::2"},
                      .ready = false,
                      .serving = true,
                      .terminating = std::nullopt,
                      .hostname = "h",
                      .node_name = "n",
                      .zone = "z",
                      .zone_hints = {"z", "y"},
                      .node_hints = {"n"},
                      .target_kind = "Pod",
                      .target_ns = "shop",
                      .target_name = "web-0"},
                     {}};
  slice.ports = {{"http", Protocol::sctp, 8080, "h2c"}, {"", Protocol::tcp, std::nullopt, ""}};
  EXPECT_EQ(unpack_endpoint_slice(pack(slice)), slice);
  EXPECT_EQ(unpack_endpoint_slice(pack(EndpointSlice())), EndpointSlice());
}

TEST(Pack, IsSmall) {
  Service service;
  service.metadata = {.name = "filler-00001", .ns = "default"};
  service.cluster_ips = {service.cluster_ip = "10.96.200.200"};
  service.ports = {{.name = "web", .port = 80}};
  EXPECT_LT(pack(service).size(), 120u);
}

}  // namespace
}  // namespace keelson::kube
