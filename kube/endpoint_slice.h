// SPDX-License-Identifier: Apache-2.0
// EndpointSlice (discovery.k8s.io/v1): some of those who serve a Service.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/container.h"
#include "kube/meta.h"

namespace keelson::kube {

inline constexpr std::string_view kServiceNameLabel = "kubernetes.io/service-name";

enum class AddressType { ipv4, ipv6, fqdn };

struct Endpoint {
  std::vector<std::string> addresses;  ///< At least one; they all are the same endpoint, and the first is used.
  std::optional<bool> ready;           ///< Not given: true.
  std::optional<bool> serving;  ///< Not given: as ready. Stays true while an endpoint that terminates still answers.
  std::optional<bool> terminating;  ///< Not given: false.
  std::string hostname;
  std::string node_name;  ///< Empty: unknown, so not this node.
  std::string zone;
  std::vector<std::string> zone_hints;  ///< hints.forZones: who may use it.
  std::vector<std::string> node_hints;  ///< hints.forNodes.
  std::string target_kind;              ///< targetRef: which object it is, "Pod" mostly. Empty: not told.
  std::string target_ns;
  std::string target_name;
  bool operator==(const Endpoint&) const = default;
};

struct EndpointPort {
  std::string name;
  Protocol protocol = Protocol::tcp;
  std::optional<int32_t> port;  ///< Not given: all ports, which no service is routed by.
  std::string app_protocol;
  bool operator==(const EndpointPort&) const = default;
};

/// Its service is named by the label kServiceNameLabel, in its own namespace.
struct EndpointSlice {
  ObjectMeta metadata;
  AddressType address_type = AddressType::ipv4;
  std::vector<Endpoint> endpoints;
  std::vector<EndpointPort> ports;
  bool operator==(const EndpointSlice&) const = default;
};

/// In place: the namespace "default". Idempotent.
void default_endpoint_slice(EndpointSlice& slice);

}  // namespace keelson::kube
