// SPDX-License-Identifier: Apache-2.0
// The connections that the programs know, read while packets go on. Those of sockets that were translated at connect()
// have no row: none of their packets needs one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/fd.h"
#include "common/result.h"
#include "dataplane/model.h"
#include "ebpf/programs.h"

namespace keelson::ebpf {

struct SocketAddress {
  dataplane::Address address;
  uint16_t port = 0;
  std::string to_string() const;  ///< "10.0.0.1:80", "[fd00::1]:80"
  auto operator<=>(const SocketAddress&) const = default;
};

enum class ConnectionState : uint8_t { opening, established, closing, active /* no TCP: it has no state */ };
std::string_view to_string(ConnectionState state);  ///< "OPENING", "ESTABLISHED", "CLOSING", "ACTIVE".

/// One row. A connection has two, which name the same four ends: that of its requests, and (`reply`) of its replies.
struct Connection {
  dataplane::Protocol protocol = dataplane::Protocol::tcp;
  SocketAddress client, frontend, backend;
  SocketAddress source;  ///< The client, as the backend sees it.
  ConnectionState state = ConnectionState::active;
  bool reply = false;
  bool masqueraded = false;  ///< `source` is this node, and its port one of the node's.
  bool tunnelled = false;  ///< Wrapped, to the backend's node; the backend answers directly, so there is no other row.
  uint32_t service = 0;    ///< Tables::service_of_row().
  Duration idle{0};        ///< Since the last packet, to 1 s.
  Duration left{0};        ///< Until it is forgotten if it stays silent.
};

/// One thread at a time. Keeps descriptors of its own.
class ConnectionTable {
 public:
  static Result<ConnectionTable> open(const Programs& programs);

  /// Where a reader is. A default one begins.
  struct Position {
    size_t family = 0;
    uint32_t bucket = 0;
    bool started = false;
  };
  /// The live rows of the next 1,024 buckets at most, in no order; takes a tenth of a millisecond to one. False: that
  /// was the end. Each bucket is read as it is at one moment; two of them are not.
  Result<bool> read(Position& position, std::vector<Connection>& rows) const;

  /// Takes the rows of these connections away, both of each. The next packet of a flow begins it anew. How many rows
  /// there were.
  Result<size_t> forget(std::span<const Connection> connections) const;

  /// No flow of a service gets this port of the node's towards this endpoint while packets of the flow that has it go
  /// on, or `state` lasts: the stack translates it, and goes on to. False: a flow of ours has the port already.
  Result<bool> keep_port(dataplane::Protocol protocol, const SocketAddress& endpoint, const SocketAddress& node,
                         ConnectionState state) const;

  uint32_t hash_seed() const { return config_.hash_seed; }  ///< That flows are spread over endpoints by.
  uint64_t rows() const;                                    ///< Room for so many, of both families.

 private:
  struct Family {
    Fd map;
    uint32_t buckets = 0;
  };
  ConnectionTable() = default;
  Result<bool> forget_row(const Connection& connection, bool reply) const;
  static Result<bool> run(const Fd& program, const kl_flow& flow, uint8_t state);
  template <class Bucket>
  Result<bool> read_family(Position& position, std::vector<Connection>& rows) const;

  std::array<Family, 2> families_;  // IPv4, IPv6
  Fd forget_, keep_;
  kl_config config_{};
};

/// The endpoint that session affinity keeps a client's packets with, of the service in this row
/// (Tables::service_of_row()), where flows are kept for so long: none, or it has not been seen since, or its row is
/// another's now.
std::optional<SocketAddress> affine_endpoint(const Programs& programs, uint32_t service,
                                             const dataplane::Address& client, Duration time);

}  // namespace keelson::ebpf
