// SPDX-License-Identifier: Apache-2.0
// Requests and limits as the kernel wants them (kubelet pkg/kubelet/cm, KEP-2254 for v2: the runtime converts).
#pragma once

#include <cstdint>
#include <string>

#include "agent/observed.h"
#include "common/cgroup/limits.h"
#include "common/cgroup/unit_name.h"
#include "cri/client/types.h"
#include "kube/pod_qos.h"

namespace keelson::agent {

/// max(2, min(262144, milliCPU x 1024 / 1000)); 0 is 2.
int64_t cpu_shares(int64_t milli_cpu);
inline constexpr int64_t kCpuPeriod = 100'000;  ///< microseconds
/// How limits of CPU are enforced (cpuCFSQuota, cpuCFSQuotaPeriod).
struct CpuQuotas {
  bool enforced = true;
  int64_t period = kCpuPeriod;  ///< microseconds
};
/// milliCPU x period / 1000, at least 1000; 0 (no limit, or none is enforced) is 0.
int64_t cpu_quota(int64_t milli_cpu, CpuQuotas quotas = {});

/// Guaranteed or node-critical -997, BestEffort 1000, Burstable 1000 - 1000 x request/capacity within [3, 999]; a
/// sidecar is no easier to kill than the main container that asks for the least.
int64_t oom_score_adj(const kube::Pod& pod, const kube::Container& container, int64_t memory_capacity);

/// A container's CPU and memory as the runtime is to have them. Without a CPU request its limit counts as one.
ObservedResources resources_for(const kube::Container& container, CpuQuotas quotas = {});

/// The same with all else that is limited.
cri::LinuxResources container_resources(const kube::Pod& pod, const kube::Container& container, int64_t memory_capacity,
                                        CpuQuotas quotas = {});

/// The pod cgroup's: quota and memory limit only if every container declares that limit; 0 is "none".
struct PodCgroupLimits {
  int64_t cpu_shares = 2;
  int64_t cpu_quota = 0;
  int64_t cpu_period = kCpuPeriod;
  int64_t memory_limit = 0;
  int64_t processes = 0;
};
PodCgroupLimits pod_limits_of(const kube::Pod& pod, CpuQuotas quotas = {});
/// What a cgroup may use that is to have these amounts together: cpu (as a weight), memory, pid and hugepages-<size>.
/// `compressible`: the CPU alone. What is not named is left as it is.
cgroup::Limits limits_of(const kube::ResourceList& amounts, bool compressible = false);
/// What the pod's containers ask for together, in milli-CPU.
int64_t requested_milli_cpu(const kube::Pod& pod);

/// "/kubepods/burstable/pod<uid>" below `root` ("/" or "/name"), or with systemd the path of the slice that the kubelet
/// makes of these names; Guaranteed pods are directly below kubepods.
std::string pod_cgroup(cgroup::Driver driver, const std::string& root, const kube::Pod& pod);

/// This machine's memory in bytes.
int64_t memory_capacity();

}  // namespace keelson::agent
