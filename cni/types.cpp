// SPDX-License-Identifier: Apache-2.0
// CNI results as JSON.
#include "cni/types.h"

#include <algorithm>

namespace keelson::cni {

namespace json = boost::json;

namespace {

std::string text(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

const json::array& list(const json::object& object, std::string_view key) {
  static const json::array kNone;
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_array() ? value->get_array() : kNone;
}

}  // namespace

Result<Outcome> parse_outcome(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) {
    return fail(Kind::invalid, "a CNI result is an object");
  }
  Outcome outcome;
  for (const auto& item : list(*object, "interfaces")) {
    const auto* interface = item.if_object();
    if (interface == nullptr) {
      return fail(Kind::invalid, "interfaces: expected objects");
    }
    const auto* mtu = interface->if_contains("mtu");
    outcome.interfaces.push_back({text(*interface, "name"), text(*interface, "mac"),
                                  mtu != nullptr && mtu->is_int64() ? static_cast<int>(mtu->get_int64()) : 0,
                                  text(*interface, "sandbox")});
  }
  for (const auto& item : list(*object, "ips")) {
    const auto* ip = item.if_object();
    if (ip == nullptr || text(*ip, "address").empty()) {
      return fail(Kind::invalid, "ips: expected objects with an address");
    }
    Address address{text(*ip, "address"), text(*ip, "gateway"), std::nullopt};
    if (const auto* index = ip->if_contains("interface"); index != nullptr && index->is_int64()) {
      address.interface = static_cast<int>(index->get_int64());
    }
    outcome.addresses.push_back(address);
  }
  for (const auto& item : list(*object, "routes")) {
    if (const auto* route = item.if_object()) {
      outcome.routes.push_back({text(*route, "dst"), text(*route, "gw")});
    }
  }
  if (const auto* dns = object->if_contains("dns")) {
    outcome.dns = *dns;
  }
  return outcome;
}

json::value format_outcome(const Outcome& outcome, const std::string& version) {
  json::object out{{"cniVersion", version}};
  json::array interfaces;
  for (const auto& interface : outcome.interfaces) {
    json::object item{{"name", interface.name}};
    if (!interface.mac.empty()) {
      item["mac"] = interface.mac;
    }
    if (interface.mtu > 0 && version == "1.1.0") {
      item["mtu"] = interface.mtu;
    }
    if (!interface.sandbox.empty()) {
      item["sandbox"] = interface.sandbox;
    }
    interfaces.push_back(std::move(item));
  }
  if (!interfaces.empty()) {
    out["interfaces"] = std::move(interfaces);
  }
  json::array ips;
  for (const auto& address : outcome.addresses) {
    json::object item{{"address", address.address}};
    if (!address.gateway.empty()) {
      item["gateway"] = address.gateway;
    }
    if (address.interface) {
      item["interface"] = *address.interface;
    }
    if (version.starts_with("0.")) {
      item["version"] = address.address.find(':') == std::string::npos ? "4" : "6";
    }
    ips.push_back(std::move(item));
  }
  if (!ips.empty()) {
    out["ips"] = std::move(ips);
  }
  json::array routes;
  for (const auto& route : outcome.routes) {
    json::object item{{"dst", route.destination}};
    if (!route.gateway.empty()) {
      item["gw"] = route.gateway;
    }
    routes.push_back(std::move(item));
  }
  if (!routes.empty()) {
    out["routes"] = std::move(routes);
  }
  out["dns"] = outcome.dns.is_object() ? outcome.dns : json::object();
  return out;
}

bool valid_name(const std::string& name) {
  auto alphanumeric = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !name.empty() && alphanumeric(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return alphanumeric(c) || c == '_' || c == '.' || c == '-';
  });
}

bool valid_interface(const std::string& name) {
  return !name.empty() && name.size() <= 15 && name != "." && name != ".." &&
         name.find_first_of("/: \t\n") == std::string::npos;
}

}  // namespace keelson::cni
