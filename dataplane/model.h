// SPDX-License-Identifier: Apache-2.0
// What the network of a node should do, as a value. Made from Kubernetes objects by dataplane/translate, carried out by
// an engine (ebpf). Knows no Kubernetes type, makes no system call.
//
// A Service here is one port of a Kubernetes Service in one family: what is routed as a whole. Its frontends are the
// places where packets are caught; its backends are where they may go. Who sends decides what a frontend does (From):
// the same address can be open to pods and closed to the outside.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/address.h"

namespace keelson::dataplane {

/// IP protocol numbers.
enum class Protocol : uint8_t { tcp = 6, udp = 17, sctp = 132 };
std::string_view to_string(Protocol protocol);  ///< "TCP", as the API writes it.

/// Where a flow may end. `port` is never 0.
struct Backend {
  Address address;
  uint16_t port = 0;
  bool local = false;   ///< Runs on this node.
  bool serving = true;  ///< Ready, or terminating and still answering. Only then it may take new flows.
  Address node{};       ///< Of the node it runs on, in the backend's family; unspecified: not known.
  auto operator<=>(const Backend&) const = default;
};

/// Why an address is caught. Decides nothing by itself: `uses` does; it is what people are shown.
enum class FrontendKind : uint8_t { cluster_ip, node_port, external_ip, load_balancer };
std::string_view to_string(FrontendKind kind);  ///< "ClusterIP", "NodePort", "ExternalIP", "LoadBalancer".

/// Where the packet comes from, which the hook knows: a pod of this node, a process of this node, or anywhere else.
enum class From : uint8_t { pod, node, outside };
inline constexpr size_t kFromCount = 3;

/// What happens to a new flow.
enum class Verdict : uint8_t {
  cluster,  ///< To one of Service::cluster.
  local,    ///< To one of Service::local.
  reject,   ///< Nothing serves it: ICMP port unreachable, or ECONNREFUSED from connect().
  drop      ///< The policy is Local and nothing here serves it: silence, so that a load balancer tries another node.
};

struct Use {
  Verdict verdict = Verdict::reject;
  /// The source becomes an address of this node, so that the reply comes back this way. A flow from a pod to itself
  /// (hairpin) is masqueraded by the engine in any case.
  bool masquerade = false;
  bool operator==(const Use&) const = default;
};

struct Frontend {
  FrontendKind kind = FrontendKind::cluster_ip;
  Address address;
  uint16_t port = 0;
  std::array<Use, kFromCount> uses{};  ///< By From.
  /// Not empty: a source outside all of these, that is not `address` itself, is dropped (loadBalancerSourceRanges).
  std::vector<Prefix> source_ranges{};
  const Use& use(From from) const { return uses[static_cast<size_t>(from)]; }
  bool operator==(const Frontend&) const = default;
};

enum class Algorithm : uint8_t { random, maglev };

/// How a flow from outside reaches a backend of another node, where Use::masquerade says that the reply must come back.
enum class Forwarding : uint8_t {
  snat,  ///< Masqueraded: the reply passes this node.
  dsr    ///< Wrapped, to Backend::node, which answers the client itself and sees its address. SNAT where it is unknown.
};

struct Service {
  Protocol protocol = Protocol::tcp;
  /// In order of (kind, address, port).
  std::vector<Frontend> frontends;
  /// Every endpoint that may still hold a flow, sorted and each (address, port) once: also those not serving, whose TCP
  /// connections may end in peace. A UDP flow to one that is not serving is sent elsewhere.
  std::vector<Backend> backends;
  /// Who takes new flows: places in `backends`, rising, of serving ones alone. `cluster` is what any sender may reach
  /// (after topology hints and the fall-back to terminating ones); `local` those of this node.
  std::vector<uint32_t> cluster;
  std::vector<uint32_t> local;
  uint32_t affinity_seconds =
      0;  ///< A client stays with its backend for so long after its last new flow. 0: no affinity.
  Algorithm algorithm = Algorithm::random;
  Forwarding forwarding = Forwarding::snat;
  bool operator==(const Service&) const = default;
};

/// "default/web:http", "default/web" where the port has no name; and the family.
struct ServiceKey {
  std::string name;
  Family family = Family::ipv4;
  auto operator<=>(const ServiceKey&) const = default;
};

/// A healthCheckNodePort: what a load balancer asks this node.
struct HealthCheck {
  std::string ns;
  std::string name;
  uint32_t local_endpoints = 0;  ///< Ready ones of this node, of all families, each address once.
  bool operator==(const HealthCheck&) const = default;
};

struct Model {
  std::map<ServiceKey, Service> services;
  std::map<uint16_t, HealthCheck> health_checks;  ///< By port.
  bool operator==(const Model&) const = default;
};

/// What an engine must do to get from one Model to another. Applying it costs what changed, not what is there.
struct Delta {
  std::map<ServiceKey, Service> changed;  ///< New, or no longer as before: the whole new value.
  std::vector<ServiceKey> removed;        ///< In order.
  bool empty() const { return changed.empty() && removed.empty(); }
  bool operator==(const Delta&) const = default;
};

/// apply(before, delta(before, after)) == after, as far as services go. Pure; linear in both.
Delta delta(const Model& before, const Model& after);
void apply(Model& model, const Delta& change);

}  // namespace keelson::dataplane
