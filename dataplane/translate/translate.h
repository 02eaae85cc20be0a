// SPDX-License-Identifier: Apache-2.0
// From Kubernetes objects to what the network should do: the rules of kube-proxy (k8s.io/kubernetes/pkg/proxy), as pure
// functions. Nothing here asks the kernel or the API server anything.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/model.h"
#include "kube/endpoint_slice.h"
#include "kube/service.h"

namespace keelson::dataplane {

/// Labels with which a service is not this proxy's: another one serves it, or nobody does.
inline constexpr std::string_view kOtherProxyLabel = "service.kubernetes.io/service-proxy-name";
inline constexpr std::string_view kHeadlessLabel = "service.kubernetes.io/headless";

/// The node for which services are routed, and how.
struct TranslateOptions {
  std::string node_name;
  std::string
      zone;  ///< The label topology.kubernetes.io/zone of the node; empty: none, so zone hints are not followed.
  /// Addresses that answer on node ports: the node's own, within nodePortAddresses. 127.0.0.1 among them: on the
  /// loopback, too.
  std::vector<Address> node_port_addresses;
  /// With Forwarding::dsr: the addresses of the cluster's nodes by their names.
  std::map<std::string, std::vector<Address>> nodes;
  Forwarding forwarding = Forwarding::snat;
  Algorithm algorithm = Algorithm::random;
  bool masquerade_all = false;  ///< Whoever uses a cluster IP is masqueraded.
  /// There is a way to tell pods from other senders (detectLocalMode): who is outside and uses a cluster IP is
  /// masqueraded.
  bool masquerade_outside = true;
  bool operator==(const TranslateOptions&) const = default;
};

/// "namespace/name".
std::string key_of(const kube::ObjectMeta& meta);

/// By their keys.
struct ServiceObjects {
  std::map<std::string, kube::Service> services;
  std::map<std::string, kube::EndpointSlice> slices;
};

/// Whether its endpoints count: not those of another proxy, nor of a headless service.
bool is_routed(const kube::EndpointSlice& slice);

/// The routed services of one Kubernetes Service: one for each port and family. `slices`: those that belong to it, in
/// any order. None for headless ones, ExternalName, and those that another proxy serves
/// (service.kubernetes.io/service-proxy-name). Bad addresses are passed over: validation has told them.
std::map<ServiceKey, Service> translate(const kube::Service& service,
                                        const std::vector<const kube::EndpointSlice*>& slices,
                                        const TranslateOptions& options);

/// The healthCheckNodePort of a service: 0 if it has none.
uint16_t health_check_port(const kube::Service& service);
/// What is told there.
HealthCheck health_check(const kube::Service& service, const std::vector<const kube::EndpointSlice*>& slices,
                         const TranslateOptions& options);

/// The whole model.
Model translate(const ServiceObjects& objects, const TranslateOptions& options);

}  // namespace keelson::dataplane
