// SPDX-License-Identifier: Apache-2.0
// Other programs' rules for packets that this node forwards: firewalls, and policies of pods by netfilter.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace keelson::network {

struct PacketFilter {
  std::string name;      ///< "Calico", "kube-router", "iptables", "nftables table inet firewall".
  std::string evidence;  ///< "chain FORWARD leads to cali-FORWARD".
  bool operator==(const PacketFilter&) const = default;
};

/// Of an output of iptables-save: the policies of pods that are known by their chains, and whatever else of table
/// filter may keep back a packet on its way through chain FORWARD. What kube-proxy, Docker and libvirt have there is no
/// policy of pods, and left out. Pure.
std::vector<PacketFilter> filters_in_iptables(std::string_view dump);

/// The same of `nft -j list ruleset`: tables with a filter at the hooks forward or postrouting, those aside that
/// iptables writes. Kind::invalid: it is no such text. Pure.
Result<std::vector<PacketFilter>> filters_in_nftables(std::string_view json);

struct PacketFilters {
  std::vector<PacketFilter> found;
  std::vector<std::string> not_looked;  ///< "nft is not installed": what could not be looked for, and why.
};

/// Of this thread's network namespace. Runs stock programs for a moment; blocks.
PacketFilters find_packet_filters();

}  // namespace keelson::network
