// SPDX-License-Identifier: Apache-2.0
#include "network/derived_slices.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "dataplane/address.h"
#include "kube/selector.h"

namespace keelson::network {
namespace {

using dataplane::Address;
using dataplane::Family;

std::optional<int32_t> named_port(const std::vector<kube::Container>& containers, const std::string& name,
                                  kube::Protocol protocol) {
  for (const auto& container : containers) {
    for (const auto& port : container.ports) {
      if (port.name == name && port.protocol == protocol) {
        return port.container_port;
      }
    }
  }
  return std::nullopt;
}

/// Where the pod serves each port of the service. A name that it has not is left out.
std::vector<kube::EndpointPort> ports_of(const kube::Service& service, const kube::Pod& pod) {
  std::vector<kube::EndpointPort> ports;
  for (const auto& port : service.ports) {
    std::optional<int32_t> number = port.target_port.number();
    if (!port.target_port.is_number()) {
      auto name = port.target_port.name();
      number = named_port(pod.spec.containers, name, port.protocol);
      if (!number) {
        number = named_port(pod.spec.init_containers, name, port.protocol);  // of sidecars
      }
    }
    if (number) {
      ports.push_back(
          {.name = port.name, .protocol = port.protocol, .port = *number, .app_protocol = port.app_protocol});
    }
  }
  return ports;
}

std::set<Family> families_of(const kube::Service& service) {
  std::set<Family> families;
  for (const auto& text : service.cluster_ips) {
    if (auto address = Address::parse(text)) {
      families.insert(address->family());
    }
  }
  return families.empty() ? std::set{Family::ipv4, Family::ipv6} : families;
}

std::string address_of(const kube::Pod& pod, Family family) {
  for (const auto& text : pod.status.pod_ips) {
    if (auto address = Address::parse(text); address && address->family() == family) {
      return text;
    }
  }
  return "";
}

kube::Endpoint endpoint_of(const kube::Service& service, const kube::Pod& pod, const std::string& address,
                           const std::string& node_name) {
  bool ready = is_ready(pod.status), terminating = pod.metadata.deletion_timestamp.has_value();
  kube::Endpoint endpoint;
  endpoint.addresses = {address};
  endpoint.ready = service.publish_not_ready_addresses || (ready && !terminating);
  endpoint.serving = ready;
  endpoint.terminating = terminating;
  endpoint.hostname = pod.spec.hostname;
  endpoint.node_name = node_name;
  return endpoint;
}

}  // namespace

std::vector<kube::EndpointSlice> derive_slices(const kube::Service& service,
                                               const std::map<std::string, kube::Pod>& pods,
                                               const std::string& node_name) {
  std::vector<kube::EndpointSlice> slices;
  if (service.selector.empty()) {
    return slices;
  }
  for (auto family : families_of(service)) {
    auto first = slices.size();
    for (const auto& [key, pod] : pods) {
      auto address = address_of(pod, family);
      if (pod.metadata.ns != service.metadata.ns || is_final(pod.status.phase) || address.empty() ||
          !kube::matches_service_selector(service.selector, pod.metadata.labels)) {
        continue;
      }
      auto ports = ports_of(service, pod);
      auto slice = std::find_if(slices.begin() + static_cast<ptrdiff_t>(first), slices.end(),
                                [&](const auto& known) { return known.ports == ports; });
      if (slice == slices.end()) {
        bool v4 = family == Family::ipv4;
        slice = slices.emplace(slices.end());
        slice->metadata.ns = service.metadata.ns;
        slice->metadata.name =
            fmt::format("{}-{}-{}", service.metadata.name, v4 ? "ipv4" : "ipv6", slices.size() - first);
        slice->metadata.labels[std::string(kube::kServiceNameLabel)] = service.metadata.name;
        slice->address_type = v4 ? kube::AddressType::ipv4 : kube::AddressType::ipv6;
        slice->ports = ports;
      }
      slice->endpoints.push_back(endpoint_of(service, pod, address, node_name));
    }
  }
  return slices;
}

}  // namespace keelson::network
