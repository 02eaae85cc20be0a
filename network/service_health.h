// SPDX-License-Identifier: Apache-2.0
// The healthCheckNodePorts of services: where a load balancer asks whether this node has endpoints for it
// (externalTrafficPolicy Local). One listener a port; paths, answers and headers as kube-proxy's
// (pkg/proxy/healthcheck/service_health.go).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/loop.h"
#include "common/task_group.h"
#include "dataplane/model.h"
#include "http/server.h"

namespace keelson::network {

/// 200 where the service has local endpoints and the proxy works, else 503; in JSON, and by the header
/// X-Load-Balancing-Endpoint-Weight.
http::Response service_health(const dataplane::HealthCheck& check, bool proxy_healthy);

/// Belongs to one loop. close() must have ended before it is destroyed, unless the loop runs no more.
class ServiceHealthPorts {
 public:
  /// `proxy_healthy` is asked at each answer.
  ServiceHealthPorts(Loop& loop, std::function<bool()> proxy_healthy);
  ~ServiceHealthPorts();

  /// Listens on these ports and on no others, each at all of `hosts` (IP addresses; "::": every address). A port that
  /// is taken is logged, and tried again each 5 s.
  void sync(const std::map<uint16_t, dataplane::HealthCheck>& checks, const std::vector<std::string>& hosts);
  /// Ends all listeners.
  Task<> close();

 private:
  struct Port;
  void open(uint16_t number, const dataplane::HealthCheck& check);
  static Task<http::Response> answer(std::shared_ptr<Port> port, bool proxy_healthy);
  static Task<> end(std::shared_ptr<Port> port);

  Loop& loop_;
  std::function<bool()> proxy_healthy_;
  std::vector<std::string> hosts_;
  std::map<uint16_t, std::shared_ptr<Port>> ports_;
  TaskGroup ending_;
};

}  // namespace keelson::network
