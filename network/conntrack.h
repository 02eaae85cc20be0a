// SPDX-License-Identifier: Apache-2.0
// The stack's connection tracking (nf_conntrack, by ctnetlink), which another proxy's rules translate by: which ports
// of the node it has given to masqueraded flows, and which it must not give.
#pragma once

#include <span>
#include <vector>

#include "common/clock.h"
#include "common/fd.h"
#include "common/result.h"
#include "ebpf/connection_table.h"

namespace keelson::network {

/// A port of this node's that a masqueraded flow to an endpoint has as its source.
struct MasqueradePort {
  dataplane::Protocol protocol = dataplane::Protocol::tcp;
  ebpf::SocketAddress endpoint, node;
  ebpf::ConnectionState state = ebpf::ConnectionState::active;
  auto operator<=>(const MasqueradePort&) const = default;
};

/// Of the network namespace in which it was opened. One thread at a time. Blocks as long as the kernel works.
class Conntrack {
 public:
  /// Kind::unsupported: this kernel has no ctnetlink.
  static Result<Conntrack> open();

  /// Of all flows whose source the stack has changed, in no order. A flow that begins or ends meanwhile may be missing.
  Result<std::vector<MasqueradePort>> masqueraded() const;

  /// The stack gives none of these ports to a flow to the same endpoint for so long. Again for the same: from now on.
  /// The others are held also when one cannot be, which is the error.
  Result<> hold(std::span<const MasqueradePort> ports, Duration time) const;

 private:
  explicit Conntrack(Fd socket) : socket_(std::move(socket)) {}
  Result<> dump(dataplane::Family family, std::vector<MasqueradePort>& ports) const;
  Result<> acknowledged(uint32_t sequence) const;
  Fd socket_;
};

}  // namespace keelson::network
