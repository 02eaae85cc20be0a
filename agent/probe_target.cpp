// SPDX-License-Identifier: Apache-2.0
#include "agent/probe_target.h"

#include <algorithm>

namespace keelson::agent {

uint16_t port_of(const kube::Container& container, const kube::IntOrString& port) {
  if (port.is_number()) {
    return static_cast<uint16_t>(port.number());
  }
  auto named = std::ranges::find(container.ports, port.name(), &kube::ContainerPort::name);
  return named == container.ports.end() ? 0 : static_cast<uint16_t>(named->container_port);
}

probes::Target http_target(const kube::Container& container, const kube::HttpGetAction& get,
                           const std::string& pod_ip) {
  probes::Target target;
  target.handler = get.scheme == kube::UriScheme::https ? probes::Handler::https : probes::Handler::http;
  target.host = get.host.empty() ? pod_ip : get.host;
  target.port = port_of(container, get.port);
  target.path = get.path.starts_with('/') ? get.path : "/" + get.path;
  for (const auto& header : get.http_headers) {
    target.headers.emplace_back(header.name, header.value);
  }
  return target;
}

}  // namespace keelson::agent
