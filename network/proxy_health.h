// SPDX-License-Identifier: Apache-2.0
// What a service proxy answers when it is asked for its health: /healthz (may this node get traffic of load balancers?)
// and /livez (does the proxy do its work?). Words and rules of kube-proxy 1.34 (pkg/proxy/healthcheck, KEP-3836).
//
// It does its work while no change waits for longer than the limit to be in the tables. The node may get traffic while
// it does, and nobody is about to take the node away.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/stats.h"
#include "http/server.h"

namespace keelson::network {

/// Twice kube-proxy's syncPeriod.
inline constexpr Duration kHealthLimit = std::chrono::seconds(60);

/// One thread at a time.
class ProxyHealth {
 public:
  /// `families`: those that are served, "IPv4", "IPv6".
  ProxyHealth(const Clock& clock, Duration limit, std::vector<std::string> families);

  /// A change has come that is not in the tables.
  void queued();
  /// All that has come is in the tables.
  void updated();
  /// False: the node is being deleted, or the cluster autoscaler is about to (taint ToBeDeletedByClusterAutoscaler).
  void set_node_eligible(bool eligible) { node_eligible_ = eligible; }

  bool healthy() const;
  /// 200 or 503, and the JSON of kube-proxy. Counts the answer.
  http::Response healthz();
  http::Response livez();
  /// kubeproxy_proxy_healthz_total, kubeproxy_proxy_livez_total.
  void collect(Stats& stats) const;

 private:
  /// Answers by status.
  struct Answers {
    uint64_t ok = 0;
    uint64_t unavailable = 0;
  };
  http::Response answer(bool good, std::optional<bool> eligible, Answers& answers) const;

  const Clock& clock_;
  Duration limit_;
  std::vector<std::string> families_;
  std::optional<WallTime> updated_;
  std::optional<SteadyTime> waiting_since_;
  bool node_eligible_ = true;
  Answers healthz_, livez_;
};

}  // namespace keelson::network
