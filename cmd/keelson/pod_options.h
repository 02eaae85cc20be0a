// SPDX-License-Identifier: Apache-2.0
// What the node's configuration means for how pods live on it, and for the machine that it runs on.
#pragma once

#include <cstdint>

#include "agent/cluster/cluster.h"
#include "agent/config/node_cgroups.h"
#include "agent/cri_pod_runtime.h"
#include "agent/plan.h"
#include "agent/pull_gate.h"
#include "cmd/keelson/config.h"
#include "common/token_bucket.h"

namespace keelson::cli {

struct PodOptions {
  agent::LifecycleTimes times;  ///< With the quotas of CPU.
  agent::PullLimits pulls;
  agent::CallLimits calls;
  RateLimit requests;
  RateLimit events;
  agent::SysctlAllowlist sysctls;
  agent::MemoryRules memory_rules;
  int64_t pids_limit = 0;  ///< 0: none
  uint32_t ids = 65536;    ///< Of a user namespace.
  kube::ManifestUrl manifests = {};
};
/// Kind::invalid names the key.
Result<PodOptions> pod_options(const NodeConfig& config);

/// Before the role agent starts, and once all of the configuration is known to be good: as the kubelet, refuses swap
/// (in a cluster, or where its configuration is used) and has the kernel's settings as it wants them (in a cluster, or
/// where they are protected). Kind::conflict says what to do.
Result<> prepare_machine(const NodeConfig& config);

}  // namespace keelson::cli
