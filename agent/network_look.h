// SPDX-License-Identifier: Apache-2.0
// Whether pods can have a network now, asked of the runtime for all workers together. A runtime may run its network
// plugins to answer, which each pod's start should not wait for.
#pragma once

#include <optional>
#include <string>

#include "agent/pod_runtime.h"
#include "common/loop.h"

namespace keelson::agent {

/// Belongs to a loop; `runtime` outlives it.
class NetworkLook {
 public:
  NetworkLook(Loop& loop, PodRuntime& runtime);

  /// PodRuntime::network_trouble(), at most so old: 5 s if there was none (as the kubelet looks), else almost 1 s.
  /// Those who ask at the same time share one answer.
  Task<std::string> trouble();

 private:
  struct Asking;
  bool fresh() const;

  Loop& loop_;
  PodRuntime& runtime_;
  asio::steady_timer answered_;  // cancelled with each answer
  bool asking_ = false;
  std::optional<SteadyTime> told_at_;
  std::string told_;
};

}  // namespace keelson::agent
