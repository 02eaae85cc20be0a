// SPDX-License-Identifier: Apache-2.0
// The range of pods' addresses that the cluster has given this node (Node.spec.podCIDRs), told to the runtime: one that
// writes the network plugins' configuration from a template waits for it (containerd's conf_template).
#pragma once

#include <string>
#include <vector>

#include "common/loop.h"
#include "cri/client/client.h"

namespace keelson::agent {

/// Belongs to one loop. `runtime` outlives it.
class PodRange {
 public:
  PodRange(Loop& loop, cri::RuntimeClient& runtime);

  /// The node's, of each family; empty: it has none, and the runtime is told nothing.
  void set(const std::vector<std::string>& cidrs);
  /// Tells the runtime, until it is cancelled: each range once, and again each 10 s until the runtime takes it.
  Task<> run();

 private:
  Loop& loop_;
  cri::RuntimeClient& runtime_;
  asio::steady_timer news_;  // cancelled by set()
  std::string wanted_;
  std::string told_;
};

}  // namespace keelson::agent
