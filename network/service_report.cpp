// SPDX-License-Identifier: Apache-2.0
#include "network/service_report.h"

#include <set>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "kube/codec.h"

namespace keelson::network {
namespace {

namespace json = boost::json;
using dataplane::Family;

bool counts(const kube::EndpointSlice& slice) {
  return slice.address_type != kube::AddressType::fqdn && dataplane::is_routed(slice);
}

struct Conditions {
  bool ready, serving, terminating;
  explicit Conditions(const kube::Endpoint& endpoint)
      : ready(endpoint.ready.value_or(true)),
        serving(endpoint.serving.value_or(ready) || ready),
        terminating(endpoint.terminating.value_or(false)) {}
};

json::object endpoint_counts(const dataplane::KnownService& known, std::string_view node_name) {
  std::set<std::string> all, ready, serving, terminating, local;
  for (const auto& slice : known.slices) {
    if (!counts(slice)) {
      continue;
    }
    for (const auto& endpoint : slice.endpoints) {
      if (endpoint.addresses.empty()) {
        continue;
      }
      const auto& address = endpoint.addresses.front();
      Conditions is(endpoint);
      all.insert(address);
      for (auto [holds, set] : {std::pair{is.ready, &ready},
                                {is.serving, &serving},
                                {is.terminating, &terminating},
                                {is.ready && endpoint.node_name == node_name && !node_name.empty(), &local}}) {
        if (holds) {
          set->insert(address);
        }
      }
    }
  }
  return {{"total", all.size()},
          {"ready", ready.size()},
          {"serving", serving.size()},
          {"terminating", terminating.size()},
          {"local", local.size()}};
}

json::object route(const dataplane::ServiceKey& key, const dataplane::Service& service, const RouteState& state) {
  json::array frontends;
  for (const auto& frontend : service.frontends) {
    frontends.push_back({{"kind", dataplane::to_string(frontend.kind)},
                         {"address", frontend.address.to_string()},
                         {"port", frontend.port}});
  }
  auto colon = key.name.rfind(':');
  return {{"port", colon == key.name.npos ? "" : key.name.substr(colon + 1)},
          {"family", key.family == Family::ipv4 ? "IPv4" : "IPv6"},
          {"protocol", dataplane::to_string(service.protocol)},
          {"programmed", state.programmed},
          {"newFlows", state.new_flows},
          {"algorithm", service.algorithm == dataplane::Algorithm::maglev ? "Maglev" : "Hash"},
          {"frontends", std::move(frontends)}};
}

json::object address_json(const kube::Endpoint& endpoint, std::string_view node_name) {
  Conditions is(endpoint);
  json::object address{{"ip", endpoint.addresses.front()},
                       {"conditions", {{"ready", is.ready}, {"serving", is.serving}, {"terminating", is.terminating}}},
                       {"local", !node_name.empty() && endpoint.node_name == node_name}};
  for (auto [name, text] :
       {std::pair{"hostname", &endpoint.hostname}, {"nodeName", &endpoint.node_name}, {"zone", &endpoint.zone}}) {
    if (!text->empty()) {
      address[name] = *text;
    }
  }
  if (!endpoint.target_name.empty()) {
    address["targetRef"] = {
        {"kind", endpoint.target_kind}, {"namespace", endpoint.target_ns}, {"name", endpoint.target_name}};
  }
  return address;
}

json::object subset(const kube::EndpointSlice& slice, std::string_view node_name) {
  json::array ready, others, ports;
  for (const auto& endpoint : slice.endpoints) {
    if (!endpoint.addresses.empty()) {
      (Conditions(endpoint).ready ? ready : others).push_back(address_json(endpoint, node_name));
    }
  }
  for (const auto& port : slice.ports) {
    json::object one{{"protocol", kube::to_string(port.protocol)}};
    if (!port.name.empty()) {
      one["name"] = port.name;
    }
    if (port.port) {
      one["port"] = *port.port;
    }
    ports.push_back(std::move(one));
  }
  json::object result{{"ports", std::move(ports)}};
  if (!ready.empty()) {
    result["addresses"] = std::move(ready);
  }
  if (!others.empty()) {
    result["notReadyAddresses"] = std::move(others);
  }
  return result;
}

}  // namespace

std::string service_json(const dataplane::KnownService& known, const dataplane::Model& model, const RouteStates& states,
                         std::string_view node_name) {
  json::array routes;
  for (const auto& key : known.routed) {
    if (auto found = model.services.find(key); found != model.services.end()) {
      routes.push_back(route(key, found->second, states(key)));
    }
  }
  json::object routing{{"routes", std::move(routes)}, {"endpoints", endpoint_counts(known, node_name)}};
  // One more member at the end of the object as the API has it.
  auto text = kube::encode_json(known.service);
  text.pop_back();
  return text + ",\"routing\":" + json::serialize(routing) + "}";
}

std::string endpoints_json(const dataplane::KnownService& known, std::string_view node_name) {
  const auto& meta = known.service.metadata;
  json::object metadata{{"name", meta.name}, {"namespace", meta.ns}};
  if (meta.creation_timestamp) {
    metadata["creationTimestamp"] = format_rfc3339(*meta.creation_timestamp);
  }
  json::array subsets;
  for (const auto& slice : known.slices) {
    if (counts(slice)) {
      subsets.push_back(subset(slice, node_name));
    }
  }
  return json::serialize(json::object{
      {"apiVersion", "v1"}, {"kind", "Endpoints"}, {"metadata", std::move(metadata)}, {"subsets", std::move(subsets)}});
}

}  // namespace keelson::network
