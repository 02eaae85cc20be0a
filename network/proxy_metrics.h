// SPDX-License-Identifier: Apache-2.0
// How changes went, in kube-proxy's own metrics: names, types, labels, buckets and help texts of
// pkg/proxy/metrics/metrics.go of 1.34, so that its dashboards and alerts go on.
//
// One sync covers both families, so what is by sync stands under both values of ip_family. What belongs to iptables,
// nftables, IPVS or nf_conntrack has no meaning here and is absent, as it is in a kube-proxy of another mode.
#pragma once

#include <array>
#include <vector>

#include "common/clock.h"
#include "common/stats.h"
#include "dataplane/model.h"
#include "network/object_source.h"
#include "network/router.h"

namespace keelson::network {

/// One thread at a time.
class ProxyMetrics {
 public:
  explicit ProxyMetrics(const Clock& clock);

  /// Before the router takes the batch over: it keeps no annotations.
  void received(const ObjectBatch& batch);
  void synced(const SyncReport& report);
  void collect(Stats& stats) const;

 private:
  /// Objects that changed.
  struct Changes {
    size_t total = 0;
    size_t pending = 0;
  };

  const Clock& clock_;
  WallTime started_;
  Changes services_, slices_;
  WallTime queued_{}, synced_{};
  Histogram sync_, full_sync_, partial_sync_;
  /// By family: when the change behind a slice happened, of those that are not in the tables yet; and how long it took.
  std::array<std::vector<WallTime>, 2> triggers_;
  std::array<Histogram, 2> programming_;
};

/// kubeproxy_sync_proxy_rules_no_local_endpoints_total: routed services of each family that drop what comes because
/// their policy is Local and no endpoint is here. Linear in the model.
void collect_no_local_endpoints(const dataplane::Model& model, Stats& stats);

}  // namespace keelson::network
