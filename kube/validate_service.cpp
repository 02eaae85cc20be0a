// SPDX-License-Identifier: Apache-2.0
// Validation of Services and EndpointSlices.
#include <arpa/inet.h>

#include <set>

#include "kube/validate.h"

namespace keelson::kube {

namespace {

constexpr int32_t kMaxAffinitySeconds = 86400;
constexpr size_t kMaxEndpoints = 1000;
constexpr size_t kMaxSlicePorts = 100;

void check_service_ports(Checks& checks, const Service& service, const Path& path) {
  const bool headless = service.cluster_ip == "None";
  if (service.ports.empty() && !headless && service.type != ServiceType::external_name) {
    checks.required(path);
  }
  std::set<std::string_view> names;
  std::set<std::pair<Protocol, int32_t>> numbers;
  for (size_t i = 0; i < service.ports.size(); ++i) {
    const ServicePort& port = service.ports[i];
    const Path at = path[i];
    if (port.name.empty()) {
      if (service.ports.size() > 1) {
        checks.required(at / "name");
      }
    } else {
      checks.dns_label(at / "name", port.name);
      if (!names.insert(port.name).second) {
        checks.duplicate(at / "name", port.name);
      }
    }
    checks.port_number(at / "port", port.port);
    checks.port(at / "targetPort", port.target_port);
    if (port.node_port != 0) {
      checks.port_number(at / "nodePort", port.node_port);
    }
    if (!numbers.emplace(port.protocol, port.port).second) {
      checks.duplicate(at, std::to_string(port.port));
    }
  }
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) {
    text.remove_prefix(1);
  }
  while (text.ends_with(' ')) {
    text.remove_suffix(1);
  }
  return text;
}

void check_traffic(Checks& checks, const Service& service, const Path& spec) {
  for (size_t i = 0; i < service.external_ips.size(); ++i) {
    checks.ip((spec / "externalIPs")[i], service.external_ips[i]);
  }
  for (size_t i = 0; i < service.load_balancer_source_ranges.size(); ++i) {
    checks.cidr((spec / "loadBalancerSourceRanges")[i], trimmed(service.load_balancer_source_ranges[i]));
  }
  if (service.session_affinity == SessionAffinity::client_ip &&
      (service.affinity_seconds < 1 || service.affinity_seconds > kMaxAffinitySeconds)) {
    checks.invalid(spec / "sessionAffinityConfig" / "clientIP" / "timeoutSeconds", service.affinity_seconds,
                   "must be greater than 0 and less than 86400");
  }
  if (service.health_check_node_port != 0) {
    checks.port_number(spec / "healthCheckNodePort", service.health_check_node_port);
  }
}

void check_endpoint(Checks& checks, const Endpoint& endpoint, AddressType type, const Path& path) {
  const Path addresses = path / "addresses";
  if (endpoint.addresses.empty()) {
    checks.required(addresses, "must contain at least 1 address");
  }
  for (size_t i = 0; i < endpoint.addresses.size(); ++i) {
    const std::string& address = endpoint.addresses[i];
    unsigned char bytes[16];
    if (type == AddressType::fqdn) {
      checks.dns_subdomain(addresses[i], address);
    } else if (::inet_pton(type == AddressType::ipv4 ? AF_INET : AF_INET6, address.c_str(), bytes) != 1) {
      checks.invalid(addresses[i], address,
                     type == AddressType::ipv4 ? "must be an IPv4 address" : "must be an IPv6 address");
    }
  }
}

}  // namespace

FieldErrors validate_service(const Service& service) {
  Checks checks;
  const Path root;
  const Path metadata = root / "metadata";
  const Path spec = root / "spec";
  check_meta(checks, service.metadata, metadata);
  if (!service.metadata.name.empty()) {
    checks.dns_1035(metadata / "name", service.metadata.name);
  }
  check_service_ports(checks, service, spec / "ports");
  for (size_t i = 0; i < service.cluster_ips.size(); ++i) {
    if (service.cluster_ips[i] != "None") {
      checks.ip((spec / "clusterIPs")[i], service.cluster_ips[i]);
    }
  }
  if (!service.cluster_ip.empty() && service.cluster_ip != "None") {
    checks.ip(spec / "clusterIP", service.cluster_ip);
  }
  if (service.type == ServiceType::external_name && service.external_name.empty()) {
    checks.required(spec / "externalName");
  }
  check_traffic(checks, service, spec);
  return checks.take();
}

FieldErrors validate_endpoint_slice(const EndpointSlice& slice) {
  Checks checks;
  const Path root;
  check_meta(checks, slice.metadata, root / "metadata");
  if (!slice.metadata.name.empty()) {
    checks.dns_subdomain(root / "metadata" / "name", slice.metadata.name);
  }
  if (slice.endpoints.size() > kMaxEndpoints) {
    checks.too_long(root / "endpoints", kMaxEndpoints);
  }
  for (size_t i = 0; i < slice.endpoints.size(); ++i) {
    check_endpoint(checks, slice.endpoints[i], slice.address_type, (root / "endpoints")[i]);
  }
  if (slice.ports.size() > kMaxSlicePorts) {
    checks.too_long(root / "ports", kMaxSlicePorts);
  }
  const Path ports = root / "ports";
  std::set<std::string_view> names;
  for (size_t i = 0; i < slice.ports.size(); ++i) {
    const Path at = ports[i];
    if (!names.insert(slice.ports[i].name).second) {
      checks.duplicate(at / "name", slice.ports[i].name);
    }
    if (slice.ports[i].port) {
      checks.port_number(at / "port", *slice.ports[i].port);
    }
  }
  return checks.take();
}

}  // namespace keelson::kube
