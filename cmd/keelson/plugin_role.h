// SPDX-License-Identifier: Apache-2.0
// Plugins of the agent: those that register, and what device plugins give to pods.
#pragma once

#include "agent/cluster/cluster.h"
#include "agent/config/node_pod_configs.h"
#include "agent/devices/devices.h"
#include "agent/node/node_board.h"
#include "agent/plugins/plugin_watcher.h"
#include "agent/storage/storage.h"
#include "cmd/keelson/config.h"
#include "common/task_group.h"

namespace keelson::cli {

/// Belongs to the agent's loop; all that it is given outlives it.
class PluginRole {
 public:
  /// `cluster` and `storage` are nullptr where there is no API server.
  PluginRole(Loop& loop, const NodeConfig& config, agent::NodeBoard& board, agent::Cluster* cluster,
             storage::Storage* storage);

  devices::Devices& devices() { return devices_; }
  /// Takes plugins, in `tasks`.
  void run(TaskGroup& tasks);
  /// Once those have ended.
  Task<> close();
  /// What is wanted of the node now. The first time that this is complete, devices of pods that have gone while
  /// nobody looked are freed.
  void wanted(const kube::DesiredState& state, agent::NodePodConfigs& configs);
  void collect(Stats& stats) const { devices_.collect(stats); }

 private:
  void tell();

  agent::NodeBoard& board_;
  agent::Cluster* const cluster_;
  devices::Devices devices_;
  plugins::PluginWatcher watcher_;
  bool retained_ = false;
};

}  // namespace keelson::cli
