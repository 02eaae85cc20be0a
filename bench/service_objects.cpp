// SPDX-License-Identifier: Apache-2.0
#include "bench/service_objects.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "bench/service_world.h"
#include "dataplane/address.h"

namespace keelson::bench {
namespace {

namespace json = boost::json;

constexpr uint32_t kClusterAddresses = 0x0a600100;  // 10.96.1.0
constexpr uint32_t kEndpoints = 0x0af50001;         // 10.245.0.1

std::string address(uint32_t value) {
  return dataplane::Address::v4(value).to_string();
}

const char* name_of(kube::Protocol protocol) {
  return protocol == kube::Protocol::udp ? "UDP" : "TCP";
}

ServiceWithSlice target() {
  ServiceWithSlice result;
  auto& [service, slice] = result;
  service.type = kube::ServiceType::node_port;
  service.cluster_ip = kTargetAddress;
  for (auto protocol : {kube::Protocol::tcp, kube::Protocol::udp}) {
    const std::string name = protocol == kube::Protocol::tcp ? "tcp" : "udp";
    service.ports.push_back({.name = name, .protocol = protocol, .port = kTargetPort, .node_port = kTargetNodePort});
    slice.ports.push_back({.name = name, .protocol = protocol, .port = kServerPort});
  }
  for (const auto* pod : kPodAddresses) {
    slice.endpoints.push_back({.addresses = {pod}, .node_name = "node"});
  }
  return result;
}

ServiceWithSlice filler(uint32_t number) {
  ServiceWithSlice result;
  auto& [service, slice] = result;
  service.cluster_ip = address(kClusterAddresses + number);
  service.ports.push_back({.name = "web", .port = kTargetPort});
  slice.ports.push_back({.name = "web", .port = kServerPort});
  for (uint32_t i : {0u, 1u}) {
    slice.endpoints.push_back({.addresses = {address(kEndpoints + 2 * number + i)}, .node_name = "other"});
  }
  return result;
}

}  // namespace

std::vector<ServiceWithSlice> services_with_slices(uint32_t count, uint32_t first) {
  std::vector<ServiceWithSlice> result;
  for (uint32_t i = first; i < count; i++) {
    auto one = i == 0 ? target() : filler(i);
    one.service.metadata.ns = one.slice.metadata.ns = "default";
    one.service.metadata.name = i == 0 ? kTargetName : fmt::format("filler-{:05}", i);
    one.service.cluster_ips = {one.service.cluster_ip};
    one.slice.metadata.name = one.service.metadata.name + "-1";
    one.slice.metadata.labels[std::string(kube::kServiceNameLabel)] = one.service.metadata.name;
    result.push_back(std::move(one));
  }
  return result;
}

std::string to_json(const kube::Service& service) {
  json::array ports;
  for (const auto& port : service.ports) {
    json::object one = {
        {"name", port.name}, {"protocol", name_of(port.protocol)}, {"port", port.port}, {"targetPort", kServerPort}};
    if (port.node_port != 0) {
      one["nodePort"] = port.node_port;
    }
    ports.push_back(one);
  }
  return json::serialize(json::object{
      {"apiVersion", "v1"},
      {"kind", "Service"},
      {"metadata", json::object{{"name", service.metadata.name}}},
      {"spec",
       json::object{{"type", kube::to_string(service.type)}, {"clusterIP", service.cluster_ip}, {"ports", ports}}}});
}

std::string to_json(const kube::EndpointSlice& slice) {
  json::array ports, endpoints;
  for (const auto& port : slice.ports) {
    ports.push_back(json::object{{"name", port.name}, {"protocol", name_of(port.protocol)}, {"port", *port.port}});
  }
  for (const auto& endpoint : slice.endpoints) {
    endpoints.push_back(json::object{{"addresses", json::array{endpoint.addresses[0]}},
                                     {"nodeName", endpoint.node_name},
                                     {"conditions", json::object{{"ready", true}}}});
  }
  json::object labels;
  for (const auto& [key, value] : slice.metadata.labels) {
    labels[key] = value;
  }
  return json::serialize(json::object{{"apiVersion", "discovery.k8s.io/v1"},
                                      {"kind", "EndpointSlice"},
                                      {"metadata", json::object{{"name", slice.metadata.name}, {"labels", labels}}},
                                      {"addressType", "IPv4"},
                                      {"ports", ports},
                                      {"endpoints", endpoints}});
}

}  // namespace keelson::bench
