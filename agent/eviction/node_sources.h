// SPDX-License-Identifier: Apache-2.0
// What an evictor sees of this node.
#pragma once

#include "agent/eviction/evictor.h"
#include "agent/eviction/image_collector.h"
#include "agent/node_usage.h"

namespace keelson::agent {

/// Belongs to the loop of `usage`. `reserved_memory`: bytes that pods may not take (systemReserved, kubeReserved).
class NodeEvictionSources : public EvictionSources {
 public:
  NodeEvictionSources(NodeUsage& usage, ImageCollector& images, std::string state_dir, int64_t reserved_memory);

  Task<Observations> observe() override;
  Task<metrics::NodeUse> measure(bool disks) override;
  Task<> free_images() override;

 private:
  NodeUsage& usage_;
  ImageCollector& images_;
  const std::string state_dir_;
  const int64_t reserved_memory_;
  asio::thread_pool disk_{1};
};

}  // namespace keelson::agent
