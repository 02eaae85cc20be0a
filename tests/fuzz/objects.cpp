// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/objects.h"

#include <fmt/format.h>

namespace keelson::fuzz {
namespace {

constexpr uint32_t kServices = 24, kSlices = 40;
constexpr kube::Protocol kProtocols[] = {kube::Protocol::tcp, kube::Protocol::tcp, kube::Protocol::udp,
                                         kube::Protocol::sctp};

template <class Map>
std::string any_key(const Map& map, uint32_t nth) {
  return map.empty() ? "n/never-was" : std::next(map.begin(), nth % map.size())->first;
}

}  // namespace

void RandomObjects::add_ports(kube::Service& service) {
  for (auto count = 1 + below(2); count > 0; count--) {
    service.ports.push_back({.name = fmt::format("p{}", count),
                             .protocol = kProtocols[below(std::size(kProtocols))],
                             .port = static_cast<int32_t>(80 + below(2)),
                             .node_port = static_cast<int32_t>(30000 + below(12))});
  }
}

kube::Service RandomObjects::service() {
  kube::Service service;
  service.metadata = {.name = fmt::format("s{}", below(kServices)), .ns = one_in(2) ? "m" : "n"};
  if (one_in(12)) {
    service.metadata.labels[std::string(one_in(2) ? dataplane::kOtherProxyLabel : dataplane::kHeadlessLabel)] = "";
  }
  static constexpr kube::ServiceType kTypes[] = {kube::ServiceType::cluster_ip, kube::ServiceType::node_port,
                                                 kube::ServiceType::load_balancer, kube::ServiceType::external_name};
  service.type = kTypes[one_in(20) ? 3 : below(3)];
  service.cluster_ips = {one_in(20) ? "None" : fmt::format("10.96.0.{}", below(30))};
  if (one_in(2)) {
    service.cluster_ips.push_back(fmt::format("fd96::{}", 1 + below(30)));
  }
  service.cluster_ip = service.cluster_ips.front();
  service.session_affinity = one_in(4) ? kube::SessionAffinity::client_ip : kube::SessionAffinity::none;
  service.internal_traffic_policy = one_in(4) ? kube::TrafficPolicy::local : kube::TrafficPolicy::cluster;
  service.external_traffic_policy = one_in(2) ? kube::TrafficPolicy::local : kube::TrafficPolicy::cluster;
  service.health_check_node_port = static_cast<int32_t>(31000 + below(6));
  service.publish_not_ready_addresses = one_in(8);
  service.traffic_distribution = one_in(4) ? "PreferClose" : "";
  if (one_in(4)) {
    service.external_ips = {fmt::format("203.0.113.{}", below(4)), fmt::format("2001:db8::{}", 1 + below(3))};
  }
  if (one_in(3)) {
    service.ingress = {{.ip = fmt::format("198.51.100.{}", below(4)),
                        .hostname = "",
                        .ip_mode = one_in(3) ? kube::IpMode::proxy : kube::IpMode::vip}};
  }
  if (one_in(4)) {
    service.load_balancer_source_ranges = {one_in(2) ? "10.0.0.0/8" : " 192.0.2.0/24", "fd00::/8"};
  }
  add_ports(service);
  return service;
}

kube::EndpointSlice RandomObjects::slice() {
  kube::EndpointSlice slice;
  slice.metadata = {.name = fmt::format("e{}", below(kSlices)), .ns = one_in(2) ? "m" : "n"};
  if (!one_in(12)) {
    slice.metadata.labels[std::string(kube::kServiceNameLabel)] = fmt::format("s{}", below(kServices));
  }
  bool v6 = one_in(2);
  slice.address_type = one_in(30) ? kube::AddressType::fqdn : v6 ? kube::AddressType::ipv6 : kube::AddressType::ipv4;
  for (auto count = 1 + below(2); count > 0; count--) {
    slice.ports.push_back({.name = fmt::format("p{}", count),
                           .protocol = kProtocols[below(std::size(kProtocols))],
                           .port = static_cast<int32_t>(8080 + below(2))});
  }
  for (auto count = below(6); count > 0; count--) {
    kube::Endpoint endpoint;
    endpoint.addresses = {(v6 ? "fd02::" : "10.2.0.") + std::to_string(1 + below(9))};
    endpoint.ready = !one_in(3);
    endpoint.serving = !one_in(3);
    endpoint.terminating = one_in(3);
    endpoint.node_name = one_in(2) ? "a" : "b";
    endpoint.zone = one_in(2) ? "z1" : "z2";
    if (one_in(2)) {
      endpoint.zone_hints = {one_in(2) ? "z1" : "z2"};
    }
    slice.endpoints.push_back(endpoint);
  }
  return slice;
}

dataplane::ObjectChange RandomObjects::change(const dataplane::ServiceObjects& objects) {
  std::map<std::string, kube::Service> services;
  std::map<std::string, kube::EndpointSlice> slices;
  dataplane::ObjectChange change;
  for (auto count = 1 + below(4); count > 0; count--) {
    auto kind = below(10);
    if (kind < 3) {
      auto one = service();
      services[dataplane::key_of(one.metadata)] = one;
    } else if (kind < 8) {
      auto one = slice();
      slices[dataplane::key_of(one.metadata)] = one;
    } else if (kind == 8) {
      change.removed_services.push_back(any_key(objects.services, below(1000)));
    } else {
      change.removed_slices.push_back(any_key(objects.slices, below(1000)));
    }
  }
  std::erase_if(change.removed_services, [&](const auto& key) { return services.contains(key); });
  std::erase_if(change.removed_slices, [&](const auto& key) { return slices.contains(key); });
  if (one_in(1000)) {
    // A list afresh: half of what there is, and what is new.
    for (const auto& [key, value] : objects.services) {
      if (one_in(2)) {
        services.try_emplace(key, value);
      }
    }
    change.all_services = true;
  }
  change.all_slices = one_in(2000);
  for (auto& [key, value] : services) {
    std::erase(change.removed_services, key);
    change.services.push_back(value);
  }
  for (auto& [key, value] : slices) {
    change.slices.push_back(value);
  }
  return change;
}

dataplane::TranslateOptions RandomObjects::options() {
  dataplane::TranslateOptions options{.node_name = one_in(2) ? "a" : "b", .zone = one_in(3) ? "" : "z1"};
  options.node_port_addresses = {*dataplane::Address::parse("192.0.2.1"),
                                 *dataplane::Address::parse("2001:db8:ffff::1")};
  if (one_in(4)) {
    options.node_port_addresses.push_back(*dataplane::Address::parse("127.0.0.1"));
  }
  options.nodes = {{"a", {*dataplane::Address::parse("192.0.2.1")}}, {"b", {*dataplane::Address::parse("192.0.2.2")}}};
  options.forwarding = one_in(2) ? dataplane::Forwarding::dsr : dataplane::Forwarding::snat;
  options.algorithm = one_in(3) ? dataplane::Algorithm::maglev : dataplane::Algorithm::random;
  options.masquerade_all = one_in(4);
  return options;
}

size_t size_of(const dataplane::ObjectChange& change) {
  return change.services.size() + change.slices.size() + change.removed_services.size() + change.removed_slices.size();
}

}  // namespace keelson::fuzz
