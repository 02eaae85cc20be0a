// SPDX-License-Identifier: Apache-2.0
#include "tests/services/objects.h"

#include <fmt/format.h>

#include <regex>
#include <sstream>
#include <stdexcept>

namespace keelson::services {
namespace {

/// Where endpoints are, by the names that scenarios use. "ghost": nobody is there.
struct Place {
  const char* name;
  const char* address;
  const char* node;
};
constexpr Place kPlaces[] = {{"pod1", "10.2.0.1", "node"},
                             {"pod2", "10.2.0.2", "node"},
                             {"node", "10.1.0.1", "node"},
                             {"otherpod", "10.3.0.1", "other"},
                             {"ghost", "10.2.0.9", "node"}};

json::object pairs(const std::string& names) {  // "a+b": hints of zones or nodes
  json::array list;
  std::istringstream stream(names);
  for (std::string name; std::getline(stream, name, '+');) {
    list.push_back(json::object{{"name", name}});
  }
  return {{"list", list}};
}

void add_word(json::object& endpoint, json::object& conditions, const std::string& word) {
  auto value = word.substr(word.find('=') + 1);
  auto hints = [&]() -> json::object& { return endpoint.emplace("hints", json::object()).first->value().as_object(); };
  if (word == "unready") {
    conditions = {{"ready", false}, {"serving", false}, {"terminating", false}};
  } else if (word == "terminating") {
    conditions = {{"ready", false}, {"serving", true}, {"terminating", true}};
  } else if (word == "unserving") {
    conditions["serving"] = false;
  } else if (word == "published") {  // publishNotReadyAddresses, as the slice controller writes it
    conditions = {{"ready", true}, {"serving", false}, {"terminating", false}};
  } else if (word == "bare") {
    conditions.clear();
  } else if (word == "nodeless") {
    endpoint.erase("nodeName");
  } else if (word.starts_with("zone=")) {
    endpoint["zone"] = value;
  } else if (word.starts_with("for-zones=")) {
    hints()["forZones"] = pairs(value)["list"];
  } else if (word.starts_with("for-nodes=")) {
    hints()["forNodes"] = pairs(value)["list"];
  } else {
    throw std::runtime_error("endpoint: unknown word " + word);
  }
}

json::object endpoint(const std::string& text) {
  std::istringstream words(text);
  std::string word;
  words >> word;
  json::object result, conditions = {{"ready", true}, {"serving", true}, {"terminating", false}};
  for (const auto& place : kPlaces) {
    if (word == place.name) {
      result = {{"addresses", json::array{place.address}}, {"nodeName", place.node}};
    }
  }
  if (result.empty()) {
    throw std::runtime_error("endpoint: unknown place " + word);
  }
  while (words >> word) {
    add_word(result, conditions, word);
  }
  if (!conditions.empty()) {
    result["conditions"] = conditions;
  }
  return result;
}

json::value take(json::object& from, const char* key) {
  json::value value;
  if (auto* found = from.if_contains(key)) {
    value = *found;
    from.erase(key);
  }
  return value;
}

json::object members(const json::object& from, const char* key) {
  const auto* found = from.if_contains(key);
  return found ? found->as_object() : json::object();
}

json::array ports(const json::value& given) {
  json::array list = given.is_array() ? given.get_array() : json::array{json::object{{"port", 8080}}};
  for (auto& port : list) {
    port.as_object().emplace("protocol", "TCP");
  }
  return list;
}

json::object metadata(const std::string& ns, const std::string& name, json::object& from) {
  json::object result = {{"namespace", ns}, {"name", name}};
  for (const char* key : {"labels", "annotations"}) {
    if (auto value = take(from, key); value.is_object()) {
      result[key] = value;
    }
  }
  return result;
}

json::object service(const std::string& ns, const std::string& name, json::object spec) {
  json::object result = {{"apiVersion", "v1"}, {"kind", "Service"}, {"metadata", metadata(ns, name, spec)}};
  if (auto ingress = take(spec, "ingress"); ingress.is_array()) {
    result["status"] = json::object{{"loadBalancer", json::object{{"ingress", ingress}}}};
  }
  if (spec.contains("ports")) {
    spec["ports"] = ports(spec["ports"]);
  }
  result["spec"] = spec;
  return result;
}

json::object slice(const std::string& ns, const std::string& name, json::object given, int family) {
  auto owner = take(given, "service");
  json::object result = {{"apiVersion", "discovery.k8s.io/v1"}, {"kind", "EndpointSlice"}};
  auto about = metadata(ns, name, given);
  about.emplace("labels", json::object());
  about["labels"].as_object().emplace("kubernetes.io/service-name",
                                      owner.is_string() ? owner : json::value(name.substr(0, name.find('.'))));
  result["metadata"] = about;
  auto type = take(given, "addressType");
  result["addressType"] = type.is_string() ? type : json::value(family == 4 ? "IPv4" : "IPv6");
  result["ports"] = ports(take(given, "ports"));
  json::array endpoints;
  for (auto& one : given["endpoints"].as_array()) {
    endpoints.push_back(one.is_string() ? json::value(endpoint(std::string(one.get_string()))) : one);
  }
  result["endpoints"] = endpoints;
  return result;
}

json::value scalar(const YAML::Node& node) {
  const auto& text = node.Scalar();
  if (node.Tag() != "!") {  // "!": quoted
    if (text == "true" || text == "false") {
      return text == "true";
    }
    if (!text.empty() && text.find_first_not_of("0123456789") == text.npos) {
      return std::stoll(text);
    }
  }
  return json::value(text);
}

// Node ports are one range for both families: those of IPv6 are others.
int64_t port_in_ipv6(int64_t port) {
  return port >= 30000 && port < 31000 ? port + 1000 : port >= 32000 && port < 32100 ? port + 100 : port;
}

}  // namespace

json::value to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    json::object result;
    for (const auto& member : node) {
      result[member.first.Scalar()] = to_json(member.second);
    }
    return result;
  }
  if (node.IsSequence()) {
    json::array result;
    for (const auto& item : node) {
      result.push_back(to_json(item));
    }
    return result;
  }
  return node.IsScalar() ? scalar(node) : json::value();
}

std::vector<json::object> expand(const YAML::Node& node, const std::string& ns, int family) {
  std::vector<json::object> result;
  auto add = [&](json::object object) {
    result.push_back(family == 4 ? object : in_ipv6(json::value(std::move(object))).as_object());
  };
  auto given = to_json(node).as_object();
  for (const auto& [key, value] : members(given, "services")) {
    add(service(ns, std::string(key), value.as_object()));
  }
  for (const auto& [key, value] : members(given, "slices")) {
    add(slice(ns, std::string(key), value.as_object(), family));
  }
  return result;
}

std::string text_in_ipv6(std::string_view text) {
  static const std::regex address(R"(\b(\d+)\.(\d+)\.(\d+)\.(\d+)(/\d+)?(:\d+)?)");
  std::string result;
  std::string rest(text);
  std::smatch match;
  while (std::regex_search(rest, match, address)) {
    result += match.prefix();
    auto number = [&](int i) { return std::stoi(match[i].str()); };
    std::string to;
    if (match.str(1) == "10" && match.str(2) == "96") {
      to = fmt::format("fd96::{:x}", number(3) * 256 + number(4));
    } else if (match.str(1) == "10") {
      to = fmt::format("fd0{}::{}", match.str(2), number(4) ? match.str(4) : "");
    } else if (match.str(1) == "203") {
      to = fmt::format("2001:db8::{}", number(4) ? match.str(4) : "");
    } else if (match.str(1) == "127") {
      to = "::1";
    } else if (match.str(1) == "0") {
      to = "::";
    } else {
      throw std::runtime_error("no IPv6 for " + match.str());
    }
    if (match[5].matched) {
      auto length = match.str(5);
      to += length == "/32" ? "/128" : length == "/0" ? "/0" : "/64";
    }
    result += match[6].matched ? fmt::format("[{}]:{}", to, port_in_ipv6(std::stoi(match.str(6).substr(1)))) : to;
    rest = match.suffix();
  }
  return result + rest;
}

json::value in_ipv6(const json::value& value) {
  if (value.is_string()) {
    auto text = std::string(value.get_string());
    return json::value(text == "IPv4" ? "IPv6" : text_in_ipv6(text));
  }
  if (value.is_array()) {
    json::array result;
    for (const auto& item : value.get_array()) {
      result.push_back(in_ipv6(item));
    }
    return result;
  }
  if (value.is_object()) {
    json::object result;
    for (const auto& [key, item] : value.get_object()) {
      result[key] = in_ipv6(item);
    }
    return result;
  }
  return value.is_int64() ? json::value(port_in_ipv6(value.get_int64())) : value;
}

}  // namespace keelson::services
