// SPDX-License-Identifier: Apache-2.0
// The rules of the real kube-proxy on the node of a ServiceWorld: it is started beside a real API server that holds the
// services, writes its rules, and then everything but the rules is stopped, so that nothing runs beside a measurement.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/service_world.h"
#include "tests/support/kube_proxy.h"

namespace keelson::bench {

/// What it costs to have services routed.
struct SyncCost {
  double cold_ms = 0;           ///< From the start of the proxy until the rules are in the kernel.
  std::vector<double> changes;  ///< One change, from the call to the API until its rule is in the kernel, ms.
  double resident_mib = 0;      ///< Of the proxy, after that.
};

/// An API server's data, which outlives the server: started again, in whatever namespace, it holds the same services.
class ServiceStore {
 public:
  /// Files in `home`, which exists.
  explicit ServiceStore(std::string home) : home_(std::move(home)) {}

  /// Runs an API server on the node of `world`, brings the store to `count` services if it has fewer, and has
  /// kube-proxy write its rules there. Of "iptables" (iptables-legacy) the rules of the measured service become the
  /// last of their chain: kube-proxy writes services in random order. `changes`: how many times an object is changed
  /// and awaited, at least once.
  Result<SyncCost> write_rules(const ServiceWorld& world, testing::ProxyMode mode, uint32_t count, int changes);

 private:
  Result<> fill(const ServiceWorld& world, uint32_t count);

  std::string home_;
  uint32_t count_ = 0;
};

}  // namespace keelson::bench
