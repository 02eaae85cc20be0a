// SPDX-License-Identifier: Apache-2.0
// Requests and limits as the kernel wants them (kubelet pkg/kubelet/cm, KEP-2254 for v2: the runtime converts).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/config/node_cgroups.h"
#include "agent/observed.h"
#include "common/cgroup/limits.h"
#include "common/cgroup/unit_name.h"
#include "cri/client/types.h"
#include "kube/pod_qos.h"

namespace keelson::agent {

/// max(2, min(262144, milliCPU x 1024 / 1000)); 0 is 2.
int64_t cpu_shares(int64_t milli_cpu);
/// milliCPU x period / 1000, at least 1000; 0 (no limit, or none is enforced) is 0.
int64_t cpu_quota(int64_t milli_cpu, CpuQuotas quotas);

/// Guaranteed or node-critical -997, BestEffort 1000, Burstable 1000 - 1000 x request/capacity within [3, 999]; a
/// sidecar is no easier to kill than the main container that asks for the least. What is requested for the pod as a
/// whole and by no container is requested by all alike.
int64_t oom_score_adj(const kube::Pod& pod, const kube::Container& container, int64_t memory_capacity);

/// A container's CPU and memory as the runtime is to have them. Limits that it has not are the pod's. Without a CPU
/// request its limit counts as one.
ObservedResources resources_for(const kube::Pod& pod, const kube::Container& container, CpuQuotas quotas);

/// Where swap is limited, a container has some: of a Burstable pod that is not critical, and it requests memory, and
/// less than its limit (KEP-2400).
bool may_swap(const kube::Pod& pod, const kube::Container& container);

/// The same with all else that is limited: huge pages of each size that the node has, swap (none, or as much of the
/// node's as its request is of the node's memory), and that want of memory ends all processes inside (cgroup v2).
cri::LinuxResources container_resources(const kube::Pod& pod, const kube::Container& container,
                                        const NodeCgroups& node);

/// What the pod's containers may use together, for a runtime that makes a machine of its own for them; and what the
/// runtime class costs beside (spec.overhead).
cri::LinuxResources sandbox_resources(const kube::Pod& pod, const NodeCgroups& node);
cri::LinuxResources overhead_resources(const kube::Pod& pod, const NodeCgroups& node);

/// The pod cgroup's: quota and memory limit only if every container declares that limit (kube::all_limited); 0 is
/// "none". Huge pages only as far as they are requested, of each size.
struct PodCgroupLimits {
  int64_t cpu_shares = 2;
  int64_t cpu_quota = 0;
  int64_t cpu_period = kCpuPeriod;
  int64_t memory_limit = 0;
  int64_t processes = 0;
  std::vector<cgroup::HugePages> huge_pages = {};
};
PodCgroupLimits pod_limits_of(const kube::Pod& pod, const NodeCgroups& node);
/// What a cgroup may use that is to have these amounts together: cpu (as a weight), memory, pid and hugepages-<size>.
/// `compressible`: the CPU alone. What is not named is left as it is.
cgroup::Limits limits_of(const kube::ResourceList& amounts, bool compressible = false);
/// What the pod's containers ask for together, in milli-CPU.
int64_t requested_milli_cpu(const kube::Pod& pod);

/// "/kubepods/burstable/pod<uid>" below `root` ("/" or "/name"), or with systemd the path of the slice that the kubelet
/// makes of these names; Guaranteed pods are directly below kubepods.
std::string pod_cgroup(cgroup::Driver driver, const std::string& root, const kube::Pod& pod);

}  // namespace keelson::agent
