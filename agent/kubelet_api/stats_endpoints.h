// SPDX-License-Identifier: Apache-2.0
// What the node, its pods and their containers use, and how the agent does:
//   GET /stats/summary[?only_cpu_and_memory=true]   Summary API, for metrics of clusters without Prometheus
//   GET /metrics            the agent's own, under the kubelet's names
//   GET /metrics/cadvisor   cgroups and links under cAdvisor's names
//   GET /metrics/resource   for metrics-server
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/agent.h"
#include "agent/node_usage.h"
#include "common/loop.h"
#include "common/stats.h"
#include "cri/client/client.h"
#include "http/server.h"

namespace keelson::agent {

struct StatsOptions : UsageOptions {
  std::string version;  ///< of Kubernetes, as the Node tells: "v1.34.4"
  /// Of other parts, for /metrics; called on the serving loop.
  std::function<void(Stats&)> more = [](Stats&) {};
  /// The same, called on the agent's thread.
  std::function<void(Stats&)> more_of_agent = [](Stats&) {};
};

/// Belongs to `loop`; the agent is asked on its own. The kernel is asked on a thread of its own, one reading at a time;
/// the runtime for what containers have written, with one call, at most each 30 s. Made on the agent's thread, or
/// before it runs.
class StatsEndpoints {
 public:
  StatsEndpoints(Loop& loop, Loop& agents_loop, Agent& agent, cri::RuntimeClient& runtime, StatsOptions options);
  ~StatsEndpoints();

  /// Nothing: the path is none of these.
  Task<std::optional<http::Response>> answer(http::Request request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::agent
