// SPDX-License-Identifier: Apache-2.0
#include "agent/probe_target.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "agent/config/field_values.h"

namespace keelson::agent {

namespace {

/// `$(VAR)` by the values that stand in the container's env; others are not looked up, as the kubelet does not.
std::vector<std::string> expand_static(const kube::Container& container, std::vector<std::string> command) {
  std::map<std::string, std::string> values;
  for (const auto& variable : container.env) {
    values[variable.name] = variable.value;
  }
  for (auto& word : command) {
    word = expand(word, values);
  }
  return command;
}

}  // namespace

Result<uint16_t> port_of(const kube::Container& container, const kube::IntOrString& port) {
  int32_t number = port.number();
  if (!port.is_number()) {
    const std::string name = port.name();
    auto named = std::ranges::find(container.ports, name, &kube::ContainerPort::name);
    if (named != container.ports.end()) {
      number = named->container_port;
    } else if (const auto [end, wrong] = std::from_chars(name.data(), name.data() + name.size(), number);
               wrong != std::errc() || end != name.data() + name.size()) {
      return fail(Kind::invalid, "strconv.Atoi: parsing \"{}\": invalid syntax", name);
    }
  }
  if (number < 1 || number > 65535) {
    return fail(Kind::invalid, "invalid port number: {}", number);
  }
  return static_cast<uint16_t>(number);
}

probes::Target http_target(const kube::Container& container, const kube::HttpGetAction& get,
                           const std::string& pod_ip) {
  probes::Target target;
  target.handler = get.scheme == kube::UriScheme::https ? probes::Handler::https : probes::Handler::http;
  target.host = get.host.empty() ? pod_ip : get.host;
  if (auto port = port_of(container, get.port)) {
    target.port = *port;
  } else {
    target.error = port.error().message();
  }
  target.path = get.path.starts_with('/') ? get.path : "/" + get.path;
  for (const auto& header : get.http_headers) {
    target.headers.emplace_back(header.name, header.value);
  }
  return target;
}

probes::Target probe_target(const kube::Container& container, const kube::Probe& probe, const std::string& pod_ip) {
  probes::Target out;
  out.host = pod_ip;
  if (probe.http_get) {
    return http_target(container, *probe.http_get, pod_ip);
  }
  if (probe.tcp_socket) {
    out.handler = probes::Handler::tcp;
    out.host = probe.tcp_socket->host.empty() ? pod_ip : probe.tcp_socket->host;
    if (auto port = port_of(container, probe.tcp_socket->port)) {
      out.port = *port;
    } else {
      out.error = port.error().message();
    }
  } else if (probe.grpc) {
    out.handler = probes::Handler::grpc;
    out.port = static_cast<uint16_t>(probe.grpc->port);
    out.service = probe.grpc->service;
  } else if (probe.exec) {
    out.handler = probes::Handler::exec;
    out.command = expand_static(container, probe.exec->command);
  }
  return out;
}

}  // namespace keelson::agent
