// SPDX-License-Identifier: Apache-2.0
// The role `agent`: pods from their sources to the runtime, on a thread of its own.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "agent/node/node_board.h"
#include "agent/node/node_stats.h"
#include "cmd/keelson/config.h"
#include "cmd/keelson/membership.h"
#include "cmd/keelson/service_manager.h"
#include "common/result.h"
#include "kube/client/kubeconfig.h"
#include "kube/pod.h"

namespace keelson::cli {

/// Who routes services on this node, if this process does. Called on the agent's thread.
struct ServiceRoutes {
  std::function<void(const kube::Pod&, bool gone)> pod_changed;
  /// `done` is called once they lead to the pod no more, on any thread, or never. See NetworkRole::pod_ends().
  std::function<void(const kube::Pod&, bool for_good, std::function<void()> done)> pod_ends;
};

/// Made, started and stopped on one thread, which is not the role's.
class AgentRole {
 public:
  /// `config` outlives it. `access`: of the API server whose pods are run besides the static ones of the manifest
  /// folder; without it, the folder is all there is. `manager`, which outlives it, is told that its loop turns.
  AgentRole(const NodeConfig& config, const LocalNode& node, std::optional<kube::ClusterAccess> access,
            const ServiceManager& manager);
  ~AgentRole();
  AgentRole(const AgentRole&) = delete;
  AgentRole& operator=(const AgentRole&) = delete;

  /// Errors name a key or a file; nothing runs then.
  Result<> start(std::optional<ServiceRoutes> routes);
  /// Something happened to the node: an Event of it. Thread-safe, from start() on.
  void record(const agent::NodeEvent& event);
  /// What the agent says of the node, for the heartbeat; as long as this object lives.
  agent::NodeBoard& board();
  /// What all threads of the node count together.
  std::shared_ptr<agent::NodeStats> node_stats();
  /// Blocks until the agent has ended. False if pods were to be removed and some are left.
  bool stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::cli
