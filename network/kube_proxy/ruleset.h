// SPDX-License-Identifier: Apache-2.0
// What another service proxy's rules do with a packet, without sending one.
//
// Rules of iptables and nftables become one form: chains of rules, each some matches and an action. A packet is walked
// through them along every branch that chance, affinity or a set may take, and what comes out is all that may happen to
// it. Only what kube-proxy 1.28 to 1.34 writes is understood; a match that is not is taken for one that may hold.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "dataplane/model.h"

namespace keelson::network {

/// A first packet of a flow.
struct Packet {
  dataplane::Protocol protocol = dataplane::Protocol::tcp;
  dataplane::Address source;
  dataplane::Address destination;
  uint16_t port = 0;
  bool from_node = false;  ///< The source is an address of the node.
  bool to_node = false;    ///< The destination is.
};

using Endpoint = std::pair<dataplane::Address, uint16_t>;

/// All that may happen to a packet.
struct Fate {
  std::set<Endpoint> backends;  ///< Where it may be sent; empty: nowhere.
  bool masquerade = false;      ///< On one of these ways at least.
  bool rejected = false;
  bool dropped = false;
  bool operator==(const Fate&) const = default;
};

struct Match {
  enum class What { source, destination, protocol, port, source_is_local, destination_is_local, may_hold };
  What what = What::may_hold;
  bool negated = false;
  std::vector<dataplane::Prefix> prefixes{};
  dataplane::Protocol protocol = dataplane::Protocol::tcp;
  uint16_t port = 0;
};

struct Rule {
  enum class Action { go_on, jump, go_to, dnat, masquerade, reject, drop, accept, back };
  std::vector<Match> matches;
  Action action = Action::go_on;
  std::string chain{};  ///< Of jump and go_to.
  Endpoint to{};        ///< Of dnat.
};

class Ruleset {
 public:
  /// The output of iptables-save or ip6tables-save: tables nat and filter. Kind::invalid names the line.
  static Result<Ruleset> from_iptables(std::string_view text);
  /// The output of `nft -j list table ip kube-proxy` (or ip6). Kind::invalid names what is wrong.
  static Result<Ruleset> from_nftables(std::string_view json);

  Fate fate(const Packet& packet) const;
  /// Destinations that it has rules for. Node ports have no address, or one of the node's.
  std::set<std::pair<Endpoint, dataplane::Protocol>> destinations() const;

 private:
  struct Chain {
    std::vector<Rule> rules;
    /// Of a long chain: which rules can hold for a port; the others hold for none in particular.
    std::map<uint16_t, std::vector<uint32_t>> by_port;
    std::vector<uint32_t> any_port;
  };
  struct Walk {
    const Packet& packet;
    Fate fate;
    int depth = 0;
  };
  enum class Ending { goes_on, ended };

  Ending walk(const std::string& chain, bool masquerade, Walk& walk) const;
  Ending apply(const Rule& rule, bool certain, bool& masquerade, Walk& walk) const;
  void make_indexes();
  void add(const std::string& chain, Rule rule) { chains_[chain].rules.push_back(std::move(rule)); }

  std::map<std::string, Chain, std::less<>> chains_;
  std::vector<std::string> entries_;          // walked one after the other, until one ends it
  std::vector<std::string> of_destinations_;  // chains whose rules name services' addresses and ports
};

}  // namespace keelson::network
