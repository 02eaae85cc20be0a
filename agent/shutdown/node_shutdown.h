// SPDX-License-Identifier: Apache-2.0
// What a node does when the machine goes down (kubelet pkg/kubelet/nodeshutdown).
//
//   going down --> told: the Node is not Ready, new pods are refused --> groups of pods end, one after the other
//              --> done: the machine may go
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/node/node_registrar.h"
#include "agent/shutdown/shutdown_order.h"
#include "common/loop.h"
#include "common/stats.h"
#include "common/task_group.h"

namespace keelson::agent {

struct ShutdownOptions {
  std::vector<ShutdownPeriod> periods;
  std::string state_file;  ///< <root>/graceful_node_shutdown_state: when the last one began and ended
  /// Whether the machine is going down, each time that this changes.
  std::function<void(bool)> tell = [](bool) {};
  /// Nothing is to be waited for any more.
  std::function<void()> done = [] {};
  /// Events of the node.
  std::function<void(const NodeEvent&)> record = [](const NodeEvent&) {};
};

/// Belongs to the agent's loop; `agent` outlives it.
class NodeShutdown {
 public:
  /// Reads the state file.
  NodeShutdown(Loop& loop, Agent& agent, ShutdownOptions options);

  /// From now on the machine is going down, or is not after all. Pods that have ended by then have.
  void going_down(bool now);
  /// Ends what going_down() has begun.
  Task<> close();
  /// kubelet_graceful_shutdown_start_time_seconds and its end; nothing before the first one.
  void collect(Stats& stats) const;

 private:
  Task<> end_pods();
  /// Ended, or their time is over.
  Task<> end_group(ShutdownGroup group);
  void keep_times() const;

  Loop& loop_;
  Agent& agent_;
  const ShutdownOptions options_;
  std::optional<WallTime> began_;
  std::optional<WallTime> ended_;
  bool going_down_ = false;
  bool ending_ = false;
  TaskGroup tasks_;
};

}  // namespace keelson::agent
