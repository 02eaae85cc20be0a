// SPDX-License-Identifier: Apache-2.0
// The short forms in which scenarios write objects, and the same in IPv6.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>
#include <yaml-cpp/yaml.h>

namespace keelson::services {

namespace json = boost::json;

/// {services: {web: {clusterIP: 10.96.1.1, ports: [{port: 80}]}}, slices: {web: {endpoints: [pod1, otherpod unready]}}}
/// as whole objects of namespace `ns`.
/// - A service is its spec; `labels`, `annotations` and `ingress` (status.loadBalancer.ingress) beside it go where they
///   belong. Not given: protocol TCP.
/// - A slice belongs to the service of its name up to the first dot; `service`, `labels`, `addressType`, `ports` (8080)
///   can be given. An endpoint is "<place> <word>...": see README.md.
std::vector<json::object> expand(const YAML::Node& node, const std::string& ns, int family);

/// What scenarios say in IPv4, in the same words of IPv6: 10.96.1.2 is fd96::102, 10.1.0.x fd01::x, 10.2.0.x fd02::x,
/// 10.3.0.x fd03::x, 203.0.113.x 2001:db8::x, 127.0.0.1 ::1; with brackets before a port; /24 is /64, /32 is /128. Node
/// ports (30xxx) are 31xxx, those of health checks (320xx) 321xx.
std::string text_in_ipv6(std::string_view text);
/// The same of every text in it.
json::value in_ipv6(const json::value& value);

json::value to_json(const YAML::Node& node);

}  // namespace keelson::services
