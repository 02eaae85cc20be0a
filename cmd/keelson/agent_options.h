// SPDX-License-Identifier: Apache-2.0
// What the node's configuration means for the parts of the agent.
#pragma once

#include "agent/agent.h"
#include "agent/cluster/cluster.h"
#include "agent/config/node_pod_configs.h"
#include "agent/node/node_board.h"
#include "agent/node_usage.h"
#include "agent/storage/storage.h"
#include "cmd/keelson/config.h"
#include "cmd/keelson/membership.h"

namespace keelson::cli {

/// `stats` are those of storage_options(), too: one node's volumes.
agent::PodConfigOptions pod_config_options(const NodeConfig& config, const LocalNode& node,
                                           std::shared_ptr<agent::VolumeStats> stats);
agent::UsageOptions usage_options(const NodeConfig& config);
agent::ClusterOptions cluster_options(const NodeConfig& config, const LocalNode& node);
/// `board`, which is told of volumes in use, outlives who has the options; `record` is told of events.
storage::StorageOptions storage_options(const NodeConfig& config, agent::NodeBoard& board,
                                        decltype(storage::StorageOptions::record) record,
                                        std::shared_ptr<agent::VolumeStats> stats);
/// In a cluster, the manifests reach the agent with the pods of the API.
agent::AgentOptions agent_options(const NodeConfig& config, const LocalNode& node, bool in_cluster);

}  // namespace keelson::cli
