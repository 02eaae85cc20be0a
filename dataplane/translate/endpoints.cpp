// SPDX-License-Identifier: Apache-2.0
#include "dataplane/translate/endpoints.h"

#include <algorithm>

namespace keelson::dataplane {
namespace {

bool holds(const std::vector<std::string>& all, std::string_view one) {
  return std::ranges::find(all, one) != all.end();
}

// The node's address in that family; unspecified: not known.
Address node_address(const TranslateOptions& options, const std::string& name, Family family) {
  if (auto node = options.nodes.find(name); node != options.nodes.end()) {
    auto found = std::ranges::find(node->second, family, &Address::family);
    return found == node->second.end() ? Address() : *found;
  }
  return {};
}

void add_slice(const kube::EndpointSlice& slice, const kube::EndpointPort& port, const TranslateOptions& options,
               std::vector<Candidate>& all) {
  if (!port.port || *port.port == 0) {
    return;
  }
  for (const auto& endpoint : slice.endpoints) {
    if (endpoint.addresses.empty()) {
      continue;
    }
    auto address = Address::parse(endpoint.addresses.front());
    if (!address) {
      continue;
    }
    Candidate candidate;
    candidate.backend.address = *address;
    candidate.backend.port = static_cast<uint16_t>(*port.port);
    candidate.backend.local = !endpoint.node_name.empty() && endpoint.node_name == options.node_name;
    candidate.backend.node = node_address(options, endpoint.node_name, address->family());
    candidate.ready = endpoint.ready.value_or(true);
    candidate.backend.serving = endpoint.serving.value_or(candidate.ready) || candidate.ready;
    candidate.terminating = endpoint.terminating.value_or(false);
    candidate.endpoint = &endpoint;
    all.push_back(candidate);
  }
}

// Where hints lead; empty: nowhere, all endpoints are used. Hints count only if every ready endpoint has one.
std::vector<uint32_t> by_hints(const std::vector<Candidate>& all, const std::vector<uint32_t>& ready,
                               const TranslateOptions& options) {
  std::vector<uint32_t> here, zone;
  bool all_nodes = true, all_zones = true;
  for (auto i : ready) {
    const auto& endpoint = *all[i].endpoint;
    all_nodes &= !endpoint.node_hints.empty();
    all_zones &= !endpoint.zone_hints.empty();
    if (holds(endpoint.node_hints, options.node_name)) {
      here.push_back(i);
    }
    if (!options.zone.empty() && holds(endpoint.zone_hints, options.zone)) {
      zone.push_back(i);
    }
  }
  if (all_nodes && !here.empty()) {
    return here;
  }
  return all_zones ? zone : std::vector<uint32_t>{};
}

template <class Keep>
std::vector<uint32_t> places(const std::vector<Candidate>& all, Keep keep) {
  std::vector<uint32_t> result;
  for (uint32_t i = 0; i < all.size(); i++) {
    if (keep(all[i])) {
      result.push_back(i);
    }
  }
  return result;
}

}  // namespace

std::vector<Candidate> candidates(const std::vector<const kube::EndpointSlice*>& slices, Family family,
                                  std::string_view port_name, Protocol protocol, const TranslateOptions& options) {
  std::vector<Candidate> all;
  auto type = family == Family::ipv4 ? kube::AddressType::ipv4 : kube::AddressType::ipv6;
  for (const auto* slice : slices) {
    if (slice->address_type != type) {
      continue;
    }
    for (const auto& port : slice->ports) {
      if (port.name == port_name && kube::to_string(port.protocol) == to_string(protocol)) {
        add_slice(*slice, port, options, all);
      }
    }
  }
  auto place = [](const Candidate& c) { return std::pair(c.backend.address, c.backend.port); };
  // The same endpoint in two slices is on its way from one to the other: it is as good as the better of them.
  auto order = [&](const Candidate& c) { return std::tuple(place(c), !c.ready, !c.backend.serving, !c.backend.local); };
  std::ranges::sort(all, {}, order);
  auto twins = std::ranges::unique(all, {}, place);
  all.erase(twins.begin(), twins.end());
  return all;
}

void choose_endpoints(Service& service, const std::vector<Candidate>& all, const TranslateOptions& options,
                      bool hints) {
  for (const auto& candidate : all) {
    service.backends.push_back(candidate.backend);
  }
  auto ready = [](const Candidate& c) { return c.ready; };
  auto last_resort = [](const Candidate& c) { return c.backend.serving && c.terminating; };
  service.cluster = places(all, ready);
  if (hints) {
    if (auto near = by_hints(all, service.cluster, options); !near.empty()) {
      service.cluster = near;
    }
  }
  if (service.cluster.empty()) {
    service.cluster = places(all, last_resort);
  }
  service.local = places(all, [&](const Candidate& c) { return c.backend.local && ready(c); });
  if (service.local.empty()) {
    service.local = places(all, [&](const Candidate& c) { return c.backend.local && last_resort(c); });
  }
}

}  // namespace keelson::dataplane
