// SPDX-License-Identifier: Apache-2.0
// The node's resources enforced (kubelet pkg/kubelet/cm/node_container_manager_linux.go, enforceNodeAllocatable): the
// cgroup of all pods is held to what they may use together, so that what is reserved is there for the system whatever
// pods do; and, if asked for, the cgroups of the system's daemons to what is reserved for them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/config/node_pod_configs.h"
#include "agent/node/node_registrar.h"
#include "common/cgroup/limits.h"
#include "common/loop.h"

namespace keelson::agent {

struct NodeLimits {
  struct Other {
    std::string what;    ///< For events: "System Reserved", "Kube Reserved Compressible".
    std::string cgroup;  ///< "/system.slice"
    cgroup::Limits limits;
  };
  cgroup::Limits pods;
  std::vector<Other> others;
};

/// Before the first pod, once. Kind::not_found, invalid ...: a cgroup of `others` is not there, or refuses.
Result<> limit_others(NodePodConfigs& configs, const NodeLimits& limits);

/// The event of each of `others`, and pods' limits; where pods use more memory than they may by now (cgroup v1 refuses
/// then), again each minute: evictions bring them down. Ends with success, or when cancelled.
Task<> limit_pods(Loop& loop, NodePodConfigs& configs, NodeLimits limits, std::function<void(const NodeEvent&)> record);

}  // namespace keelson::agent
