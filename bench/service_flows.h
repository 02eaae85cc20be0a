// SPDX-License-Identifier: Apache-2.0
// What a client of a service sees: one round of connections, requests and datagrams on one path, and rounds of many
// paths in turn.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/result.h"

namespace keelson::bench {

/// One way to reach the servers of a ServiceWorld.
struct ServicePath {
  std::string name;     ///< "direct", "nftables" ...
  std::string netns;    ///< The client's.
  std::string address;  ///< IPv4, TCP and UDP.
  uint16_t port = 0;
  std::string cgroup;  ///< The client's (cgroup.procs is written); empty: as it is.
};

/// How much a round does.
struct RoundSize {
  int connections = 1500;
  int requests = 3000;   ///< On one connection.
  int datagrams = 3000;  ///< Of one flow.
  int flows = 500;       ///< New ones, of one datagram each.
};

/// One round's values by metric. Times in microseconds.
///   crr/s, crr p50   connect, a byte each way, close: how many a second, and the time of one
///   connect p50, p99 connect() alone
///   rr p50, rr p99   a byte each way on an open connection
///   udp p50, udp p99 a datagram each way, of a known flow
///   first p50, p99   connect(), send and receive of a UDP flow that is new
using RoundValues = std::map<std::string, double>;
/// All rounds of a path, by metric, in the order of the rounds.
using PathValues = std::map<std::string, std::vector<double>>;

/// Waits until the path serves; Kind::timeout after 2 s.
Result<> wait_until_served(const ServicePath& path);

/// `rounds` rounds of every path, on `core`, interleaved: each round takes them all, each time beginning with another
/// one. Values are by the path's place in `paths`. The first path that fails ends it, and the error names it.
Result<std::vector<PathValues>> measure(const std::vector<ServicePath>& paths, const RoundSize& size, int rounds,
                                        int core);

}  // namespace keelson::bench
