// SPDX-License-Identifier: Apache-2.0
// The node's heartbeat: its Lease in kube-node-lease, renewed in time whatever happens to the connection.
//
//   known? --no--> GET, or create (owned by the Node, once that is registered)
//     |yes
//   PUT renewTime --ok--> wait a quarter of the lease's time
//     | conflict, not found: known no more, at once again
//     | no answer: on a new connection, at once; then 0.2 s, 0.4 s ... 5 s
//
// With the defaults a node whose connection dies in the very moment after a renewal renews 10 s later on a new one: the
// kernel has given the old one up by then (kube/client/transport.h). One that is acknowledged but not answered, as by a
// load balancer whose server is gone, takes `answer` longer. The node controller waits 50 s.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/node/node_api.h"
#include "common/loop.h"
#include "kube/lease.h"

namespace keelson::agent {

struct LeaseOptions {
  std::string node;
  std::chrono::seconds duration{40};  ///< nodeLeaseDurationSeconds; renewed each quarter of it, stretched by up to 4 %.
  Duration answer = std::chrono::seconds(8);  ///< How long one request may take before its connection is given up.
  uint64_t seed = 0;                          ///< Of the waits.
};

/// Belongs to one loop. `api` outlives it.
class LeaseRenewer {
 public:
  LeaseRenewer(Loop& loop, NodeApi& api, LeaseOptions options);

  /// Until it is cancelled.
  Task<> run();
  /// When it was renewed last, by this process.
  std::optional<WallTime> renewed() const { return renewed_; }

 private:
  Task<> renew();
  Task<> try_renew();
  /// Finds the Lease, or makes it: true.
  Task<bool> learn();
  Task<> create();
  Task<std::string> node_uid();
  Task<std::string> ask(kube::Request request);
  void tell(const Error& error, Duration wait);
  Duration stretched(Duration wait);

  Loop& loop_;
  NodeApi& api_;
  const LeaseOptions options_;
  std::optional<kube::Lease> lease_;
  std::optional<WallTime> renewed_;
  uint64_t random_;
  int failures_ = 0;
};

}  // namespace keelson::agent
