// SPDX-License-Identifier: Apache-2.0
#include "dataplane/translate/translate.h"

#include <algorithm>
#include <set>

#include "dataplane/translate/endpoints.h"

namespace keelson::dataplane {
namespace {

using kube::TrafficPolicy;

bool has(const kube::StringMap& labels, std::string_view label) {
  return labels.contains(std::string(label));
}

bool is_routed(const kube::Service& service) {
  if (service.type == kube::ServiceType::external_name || service.cluster_ip.empty() || service.cluster_ip == "None") {
    return false;
  }
  const auto& labels = service.metadata.labels;
  return !has(labels, kOtherProxyLabel) && !has(labels, kHeadlessLabel);
}

Protocol protocol_of(kube::Protocol protocol) {
  if (protocol == kube::Protocol::udp) {
    return Protocol::udp;
  }
  return protocol == kube::Protocol::sctp ? Protocol::sctp : Protocol::tcp;
}

std::string_view trim(std::string_view text) {
  while (text.starts_with(' ')) {
    text.remove_prefix(1);
  }
  while (text.ends_with(' ')) {
    text.remove_suffix(1);
  }
  return text;
}

// For one port of one family.
class PortTranslator {
 public:
  PortTranslator(const kube::Service& service, const kube::ServicePort& port, Family family,
                 const TranslateOptions& options)
      : service_(service), port_(port), family_(family), options_(options) {}

  Service run(const std::vector<const kube::EndpointSlice*>& slices) {
    Service result;
    result.protocol = protocol_of(port_.protocol);
    if (service_.session_affinity == kube::SessionAffinity::client_ip) {
      result.affinity_seconds = static_cast<uint32_t>(service_.affinity_seconds);
    }
    result.algorithm = options_.algorithm;
    result.forwarding = options_.forwarding;
    auto all = candidates(slices, family_, port_.name, result.protocol, options_);
    choose_endpoints(result, all, options_, true);
    add_cluster_ips(result);
    add_external(result);
    std::ranges::sort(result.frontends, {}, [](const Frontend& f) { return std::tuple(f.kind, f.address, f.port); });
    // An address given twice, as external IP and by the load balancer: the narrower kind comes first and counts.
    std::set<std::pair<Address, uint16_t>> seen;
    std::erase_if(result.frontends, [&](const Frontend& f) { return !seen.insert({f.address, f.port}).second; });
    return result;
  }

 private:
  // Nobody at all is refused, so that the sender knows; nobody here, under Local, is silence.
  Verdict verdict(const Service& service, TrafficPolicy policy) const {
    bool local = policy == TrafficPolicy::local;
    if (!(local ? service.local : service.cluster).empty()) {
      return local ? Verdict::local : Verdict::cluster;
    }
    return local && !service.cluster.empty() ? Verdict::drop : Verdict::reject;
  }

  void add(Service& service, FrontendKind kind, const Address& address, int32_t port,
           const std::array<Use, kFromCount>& uses, std::vector<Prefix> ranges = {}) const {
    if (address.family() != family_ || port <= 0) {
      return;
    }
    service.frontends.push_back({kind, address, static_cast<uint16_t>(port), uses, std::move(ranges)});
  }

  void add_cluster_ips(Service& service) const {
    auto what = verdict(service, service_.internal_traffic_policy);
    bool all = options_.masquerade_all;
    std::array<Use, kFromCount> uses{Use{what, all}, Use{what, all}, Use{what, all || options_.masquerade_outside}};
    for (const auto& text : service_.cluster_ips) {
      if (auto address = Address::parse(text)) {
        add(service, FrontendKind::cluster_ip, *address, port_.port, uses);
      }
    }
  }

  // With Local, who is inside has the whole cluster (short-circuit), and only the node's own packets need another
  // source.
  std::array<Use, kFromCount> external_uses(const Service& service) const {
    auto inside = verdict(service, TrafficPolicy::cluster);
    if (service_.external_traffic_policy == TrafficPolicy::cluster) {
      return {Use{inside, true}, Use{inside, true}, Use{inside, true}};
    }
    return {Use{inside, false}, Use{inside, true}, Use{verdict(service, TrafficPolicy::local), false}};
  }

  void add_external(Service& service) const {
    auto uses = external_uses(service);
    for (const auto& text : service_.external_ips) {
      if (auto address = Address::parse(text)) {
        add(service, FrontendKind::external_ip, *address, port_.port, uses);
      }
    }
    if (service_.type == kube::ServiceType::load_balancer) {
      auto ranges = source_ranges();
      for (const auto& ingress : service_.ingress) {
        auto address = Address::parse(ingress.ip);
        if (!address || ingress.ip_mode == kube::IpMode::proxy) {
          continue;
        }
        add(service, FrontendKind::load_balancer, *address, port_.port, uses, ranges);
      }
    }
    if (service_.type != kube::ServiceType::cluster_ip) {
      for (const auto& address : options_.node_port_addresses) {
        add(service, FrontendKind::node_port, address, port_.node_port, uses);
      }
    }
  }

  // Without one of this family, and with one that is everything, there is no limit.
  std::vector<Prefix> source_ranges() const {
    std::vector<Prefix> ranges;
    for (const auto& text : service_.load_balancer_source_ranges) {
      auto range = Prefix::parse(trim(text));
      if (!range || range->address.family() != family_) {
        continue;
      }
      if (range->length == 0) {
        return {};
      }
      ranges.push_back(*range);
    }
    std::ranges::sort(ranges);
    return ranges;
  }

  const kube::Service& service_;
  const kube::ServicePort& port_;
  Family family_;
  const TranslateOptions& options_;
};

std::set<Family> families(const kube::Service& service) {
  std::set<Family> result;
  for (const auto& text : service.cluster_ips) {
    if (auto address = Address::parse(text)) {
      result.insert(address->family());
    }
  }
  return result;
}

std::string port_name(const kube::Service& service, const kube::ServicePort& port) {
  auto name = key_of(service.metadata);
  return port.name.empty() ? name : name + ":" + port.name;
}

// Ready endpoints of this node; the load balancer shall not send to one where all terminate (KEP-1669).
uint32_t local_endpoints(const std::vector<const kube::EndpointSlice*>& slices, const std::string& node_name) {
  std::set<std::string> addresses;
  for (const auto* slice : slices) {
    if (slice->address_type == kube::AddressType::fqdn) {
      continue;
    }
    for (const auto& endpoint : slice->endpoints) {
      if (endpoint.ready.value_or(true) && !endpoint.addresses.empty() && endpoint.node_name == node_name) {
        addresses.insert(endpoint.addresses.front());
      }
    }
  }
  return static_cast<uint32_t>(addresses.size());
}

}  // namespace

std::map<ServiceKey, Service> translate(const kube::Service& service,
                                        const std::vector<const kube::EndpointSlice*>& slices,
                                        const TranslateOptions& options) {
  std::map<ServiceKey, Service> result;
  if (!is_routed(service)) {
    return result;
  }
  for (auto family : families(service)) {
    for (const auto& port : service.ports) {
      result[{port_name(service, port), family}] = PortTranslator(service, port, family, options).run(slices);
    }
  }
  return result;
}

uint16_t health_check_port(const kube::Service& service) {
  bool local = service.external_traffic_policy == TrafficPolicy::local;
  bool has = is_routed(service) && service.type == kube::ServiceType::load_balancer && local;
  return has ? static_cast<uint16_t>(service.health_check_node_port) : 0;
}

HealthCheck health_check(const kube::Service& service, const std::vector<const kube::EndpointSlice*>& slices,
                         const TranslateOptions& options) {
  return {service.metadata.ns, service.metadata.name, local_endpoints(slices, options.node_name)};
}

std::string key_of(const kube::ObjectMeta& meta) {
  return meta.ns + "/" + meta.name;
}

bool is_routed(const kube::EndpointSlice& slice) {
  return !has(slice.metadata.labels, kOtherProxyLabel) && !has(slice.metadata.labels, kHeadlessLabel);
}

Model translate(const ServiceObjects& objects, const TranslateOptions& options) {
  std::map<std::string, std::vector<const kube::EndpointSlice*>> slices;
  for (const auto& [name, slice] : objects.slices) {
    auto label = slice.metadata.labels.find(std::string(kube::kServiceNameLabel));
    if (label == slice.metadata.labels.end() || !is_routed(slice)) {
      continue;
    }
    slices[slice.metadata.ns + "/" + label->second].push_back(&slice);
  }
  Model model;
  for (const auto& [name, service] : objects.services) {
    const auto& own = slices[name];
    model.services.merge(translate(service, own, options));
    if (auto port = health_check_port(service)) {
      model.health_checks.emplace(port, health_check(service, own, options));
    }
  }
  return model;
}

}  // namespace keelson::dataplane
