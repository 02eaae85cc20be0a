// SPDX-License-Identifier: Apache-2.0
// What a service proxy shows to machines, at the addresses where they look for kube-proxy's:
//   healthzBindAddress   /healthz, /livez (proxy_health.h)
//   metricsBindAddress   /metrics, /proxyMode, /configz, /healthz
//   healthCheckNodePorts of services (service_health.h)
//
// /proxyMode says "ebpf". Nobody is helped by one of kube-proxy's own modes there: the Kubernetes e2e tests ask for it
// to know whether they may look for iptables' counters, and tools that know no "ebpf" should not go and look for rules.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/loop.h"
#include "common/task_group.h"
#include "http/bind_address.h"
#include "http/server.h"
#include "network/node_addresses.h"
#include "network/object_source.h"
#include "network/proxy_health.h"
#include "network/proxy_metrics.h"
#include "network/router.h"
#include "network/service_health.h"

namespace keelson::network {

struct ProxyServerOptions {
  std::optional<http::BindAddress> healthz;  ///< None: not served.
  std::optional<http::BindAddress> metrics;
  bool bind_hard_fail = false;  ///< start() fails when an address cannot be had; otherwise it is tried again each 5 s.
  std::string configz = "{}";   ///< JSON: the configuration that runs.
  std::function<void(Stats&)> more_stats = [](Stats&) {};  ///< Of others, for /metrics.
  bool node_expected = false;  ///< While this node's Node is not known, load balancers shall send it nothing.
};

/// Belongs to one loop, and so does the router, which outlives it. close() must have ended before it is destroyed,
/// unless the loop runs no more.
class ProxyServers {
 public:
  ProxyServers(Loop& loop, ProxyServerOptions options, const RouterOptions& routing, const Router& router);

  /// Serves until close(). Kind::exists with bind_hard_fail: an address is taken.
  Result<> start();
  /// Before the router takes a batch.
  void received(const ObjectBatch& batch);
  /// After each change.
  void synced(const SyncReport& report);
  /// In how many places another proxy's rules do something else (ServiceMode::shadow).
  void compared(size_t differences) { differences_ = differences; }
  Task<> close();

 private:
  using Answer = http::Response (ProxyServers::*)(const http::Request& request);
  Result<> serve_at(const std::optional<http::BindAddress>& where, const std::string& name, Answer answer);
  Task<http::Response> respond(Answer answer, http::Request request);
  bool node_eligible() const;
  http::Response health_page(const http::Request& request);
  http::Response status_page(const http::Request& request);
  http::Response metrics_page() const;

  Loop& loop_;
  ProxyServerOptions options_;
  std::string node_name_;
  NodePortRules node_ports_;
  const Router& router_;
  ProxyHealth health_;
  ProxyMetrics metrics_;
  ServiceHealthPorts service_ports_;
  std::optional<size_t> differences_;
  TaskGroup tasks_;
};

}  // namespace keelson::network
