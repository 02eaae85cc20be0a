// SPDX-License-Identifier: Apache-2.0
// What would happen to a new flow, and why: the packet programs' decision, taken again from the model for people.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataplane/model.h"

namespace keelson::dataplane {

struct NewFlow {
  From from = From::outside;
  std::optional<Address> source;  ///< Not given: any of that kind.
  uint16_t source_port = 0;       ///< 0: any.
  Address destination;
  uint16_t port = 0;
  Protocol protocol = Protocol::tcp;
};

/// What the engine does beside the model.
struct EngineFacts {
  bool tcp_sockets = false;  ///< TCP is translated at connect().
  bool udp_sockets = false;
  bool xdp = false;                        ///< On an uplink.
  std::array<Address, 2> masquerade{};     ///< By family, IPv4 first; unspecified: none.
  std::vector<Address> node_addresses{};   ///< This node's own.
  std::optional<uint32_t> hash_seed = {};  ///< That flows are spread by.
  /// Not empty for a family: whose packets are pods' by their source (detectLocalMode ClusterCIDR, NodeCIDR).
  std::vector<Prefix> local_sources{};
  /// The endpoint that affinity keeps this client with, if any.
  std::optional<std::pair<Address, uint16_t>> remembered = {};
};

/// Who decides.
enum class Decider : uint8_t { socket, tc, xdp };
std::string_view to_string(Decider decider);  ///< "socket", "tc", "xdp"

enum class Outcome : uint8_t { no_service, forward, reject, drop };
std::string_view to_string(Outcome outcome);  ///< "NO SERVICE", "FORWARD", "REJECT", "DROP"

struct Explanation {
  Outcome outcome = Outcome::no_service;
  std::string reason;         ///< A sentence without its stop.
  From from = From::outside;  ///< As whom the sender counts: as NewFlow::from, but for packets with local_sources.
  ServiceKey service;
  FrontendKind kind = FrontendKind::cluster_ip;
  Decider decider = Decider::tc;
  std::vector<uint32_t> pool{};      ///< Places in Service::backends: who may be chosen.
  std::optional<uint32_t> chosen{};  ///< Place of the one that it will be, where that is certain.
  std::optional<Address> masquerade_as{};
  std::optional<Address> wrapped_to{};  ///< The node that the flow is forwarded to, client address and all (DSR).
};

/// Pure; linear in the model.
Explanation explain(const Model& model, const NewFlow& flow, const EngineFacts& facts);

}  // namespace keelson::dataplane
