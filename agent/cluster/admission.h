// SPDX-License-Identifier: Apache-2.0
// Whether a pod that the API gives to this node can run here (kubelet pkg/kubelet/lifecycle/predicate.go): what the
// scheduler has decided is looked at again, for it may not have known all, or was not asked.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/cluster/sysctls.h"
#include "agent/node/eviction_signals.h"
#include "kube/node.h"
#include "kube/pod.h"

namespace keelson::agent {

/// What a pod lacks of each resource: thousandths of a CPU, bytes, pods.
using Shortage = std::map<std::string, int64_t>;
/// How much of a resource that is in these terms.
int64_t amount(const std::string& resource, const kube::Quantity& quantity);

/// Why a pod is not run: status.reason, and the text of its event.
struct Rejection {
  std::string reason;      ///< "Evicted", "OutOfcpu", "NodeAffinity", "NodeShutdown", "NodePorts", "TaintToleration",
                           ///< "PodOSNotSupported", "SysctlForbidden", "SupplementalGroupsPolicyNotSupported",
                           ///< "UnexpectedAdmissionError" ...
  std::string message;     ///< "Node didn't have enough resource: cpu, requested: 2000, used: 0, capacity: 1000"
  Shortage shortage = {};  ///< Of a critical pod: this is all that it wants; others may make room for it.
  bool operator==(const Rejection&) const = default;
};

struct AdmissionNode {
  std::string name;
  kube::StringMap labels;
  std::vector<kube::Taint> taints;
  /// Of a resource that is missing here, an extended one's included, pods may have what they want; but of huge pages
  /// there are none then.
  kube::ResourceList allocatable;
  /// Who wants some of these is not judged here, but when he is given them (config/allotments.h).
  std::set<std::string> allotted = {};
  Pressures pressures = {};      ///< What the node is short of.
  bool shutting_down = false;    ///< Nothing is to begin any more.
  SysctlAllowlist sysctls = {};  ///< That pods may set.
  bool strict_groups = false;    ///< The runtime knows supplementalGroupsPolicy.
  bool apparmor = false;         ///< The kernel has AppArmor.
  bool static_cpus = false;      ///< cpuManagerPolicy: static; a Guaranteed pod keeps the CPUs that it came with.
};

/// nullopt: it fits beside `others`, the pods that are on the node and have not ended. Pure.
std::optional<Rejection> admit(const kube::Pod& pod, const std::vector<const kube::Pod*>& others,
                               const AdmissionNode& node);

/// Whether spec.nodeSelector and the required node affinity want this node. An affinity that cannot be read wants none.
bool wants_node(const kube::Pod& pod, const AdmissionNode& node);

/// Whether one of the pod's tolerations covers the taint.
bool tolerates(const kube::Pod& pod, const kube::Taint& taint);

}  // namespace keelson::agent
