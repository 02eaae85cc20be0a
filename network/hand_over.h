// SPDX-License-Identifier: Apache-2.0
// While services change hands between us and a proxy whose rules the stack follows, both translate: each its own flows.
// Neither knows which ports of the node the other has given to masqueraded flows; a reply to a port that both have
// given, towards one endpoint, would come to the wrong of two clients. So the one that begins new flows is told of the
// other's ports: our table of theirs (keep_stack_ports), nf_conntrack of ours (HandBack).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "common/loop.h"
#include "dataplane/model.h"
#include "ebpf/connection_table.h"
#include "network/conntrack.h"

namespace keelson::network {

/// Ports that the stack has given, at these addresses of the node, towards endpoints of this model: no flow of ours
/// gets them as long as theirs go on. How many. Kind::unsupported: this kernel tracks no connections.
Result<size_t> keep_stack_ports(const ebpf::Programs& programs, const dataplane::Model& model,
                                const std::array<dataplane::Address, 2>& node);

/// Flows that our programs still translate.
struct OpenFlows {
  uint64_t count = 0;
  std::vector<MasqueradePort> ports;  ///< Of those that are masqueraded.
};

/// Counts flows as the table of connections is read, each once though it has two rows.
class FlowCount {
 public:
  void add(const ebpf::Connection& row);
  OpenFlows take() &&;

 private:
  uint64_t requests_ = 0, replies_ = 0;
  std::vector<MasqueradePort> ports_;
};

/// Reads the whole table at once.
Result<OpenFlows> open_flows(const ebpf::Programs& programs);

/// The ports of our flows, in nf_conntrack until the flows have ended: for ten minutes, so hold() is to be called again
/// before. Kind::unsupported: this kernel has none, and no other proxy that translates.
Result<> hold_ports(const OpenFlows& flows);
inline constexpr Duration kHeldFor = std::chrono::minutes(10);

/// Ends when no flow is ours any more, and with `limit` (not 0) after so long though there are: how many were left
/// then. Holds their ports meanwhile, and tells the log how many are left. The programs outlive it.
Task<uint64_t> wait_for_last_flow(Loop* loop, const ebpf::Programs* programs, Duration limit);

}  // namespace keelson::network
