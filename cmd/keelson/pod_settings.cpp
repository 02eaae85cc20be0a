// SPDX-License-Identifier: Apache-2.0
// The settings of what pods get of this node, and of what the node has to be for them: the kubelet's own names.
#include "cmd/keelson/config.h"

namespace keelson::cli {

namespace {

const Setting kSettings[] = {
    {"cpuManagerPolicy", "--cpu-manager-policy", &NodeConfig::cpu_manager_policy,
     "Role agent: static: containers of Guaranteed pods that ask for whole CPUs have these for themselves; none: all "
     "share"},
    {"cpuManagerPolicyOptions", "--cpu-manager-policy-options", &NodeConfig::cpu_manager_policy_options,
     "Role agent: which CPUs static takes, NAME=true (repeatable): full-pcpus-only, strict-cpu-reservation, "
     "distribute-cpus-across-numa, prefer-align-cpus-by-uncorecache; with the gate CPUManagerPolicyAlphaOptions "
     "distribute-cpus-across-cores, align-by-socket"},
    {"cpuManagerReconcilePeriod", "--cpu-manager-reconcile-period", &NodeConfig::cpu_manager_reconcile_period,
     "Role agent: how often containers that do not run on their CPUs are sent there"},
    {"featureGates", "--feature-gates", &NodeConfig::feature_gates,
     "Role agent: gates of the kubelet's, NAME=true; those known here are CPUManagerPolicyAlphaOptions, "
     "CPUManagerPolicyBetaOptions and CSIVolumeHealth"},
    {"enforceNodeAllocatable", "--enforce-node-allocatable", &NodeConfig::enforce_node_allocatable,
     "Role agent: whose cgroups are held to what they may use: pods (the node without what is reserved), and "
     "system-reserved, kube-reserved (what is reserved for them; with -compressible behind, their CPU alone), or none; "
     "without pods, all pods together have what the machine has"},
    {"systemReservedCgroup", "--system-reserved-cgroup", &NodeConfig::system_reserved_cgroup,
     "Role agent: the cgroup of the system's daemons, for system-reserved: /system.slice"},
    {"kubeReservedCgroup", "--kube-reserved-cgroup", &NodeConfig::kube_reserved_cgroup,
     "Role agent: that of this daemon and the runtime, for kube-reserved"},
    {"resolvConf", "--resolv-conf", &NodeConfig::resolv_conf,
     "Role agent: whose name servers pods get that do not ask the cluster's (empty: none)"},
    {"podPidsLimit", "--pod-max-pids", &NodeConfig::pod_pids_limit,
     "Role agent: how many processes a pod may have (-1: as many as all pods together)"},
    {"seccompDefault", "--seccomp-default", &NodeConfig::seccomp_default,
     "Role agent: what names no seccomp profile has RuntimeDefault, instead of none"},
    {"allowedUnsafeSysctls", "--allowed-unsafe-sysctls", &NodeConfig::allowed_unsafe_sysctls,
     "Role agent: sysctls that pods may set beside the safe ones, such as kernel.msg* (repeatable)"},
    {"userNamespaceIDsPerPod", "--user-namespace-ids-per-pod", &NodeConfig::user_namespace_ids_per_pod,
     "Role agent: how many user ids a pod with hostUsers: false has, a multiple of 65536"},
    {"cpuCFSQuota", "--cpu-cfs-quota", &NodeConfig::cpu_cfs_quota,
     "Role agent: hold containers to their limits of CPU; without, the limit is a number alone"},
    {"cpuCFSQuotaPeriod", "--cpu-cfs-quota-period", &NodeConfig::cpu_cfs_quota_period,
     "Role agent: in which time a limit of CPU is used up and given anew, 1ms to 1s"},
    {"maxContainerRestartPeriod", "--max-container-restart-period", &NodeConfig::max_container_restart_period,
     "Role agent: the longest that a container that fails again and again waits for its restart, 1s to 5m"},
    {"maxParallelImagePulls", "--max-parallel-image-pulls", &NodeConfig::max_parallel_image_pulls,
     "Role agent: how many images are pulled at a time (0: as many as pods ask for)"},
    {"registryPullQPS", "--registry-qps", &NodeConfig::registry_qps,
     "Role agent: how many pulls may begin each second; those above are refused for a while (0: no such limit)"},
    {"registryBurst", "--registry-burst", &NodeConfig::registry_burst, "Role agent: how many of them at once"},
    {"kubeAPIQPS", "--kube-api-qps", &NodeConfig::kube_api_qps,
     "Role agent: how many requests about pods the API server gets each second"},
    {"kubeAPIBurst", "--kube-api-burst", &NodeConfig::kube_api_burst, "Role agent: how many of them at once"},
    {"eventRecordQPS", "--event-qps", &NodeConfig::event_qps,
     "Role agent: how many events the API server gets each second (0: no such limit)"},
    {"eventBurst", "--event-burst", &NodeConfig::event_burst, "Role agent: how many of them at once"},
    {"runtimeRequestTimeout", "--runtime-request-timeout", &NodeConfig::runtime_request_timeout,
     "Role agent: how long the runtime may take to make, start or remove something; images have more"},
    {"failSwapOn", "--fail-swap-on", &NodeConfig::fail_swap_on,
     "Role agent in a cluster, or with a kubelet's configuration: do not start where swap is on"},
    {"swapBehavior", "--swap-behavior", &NodeConfig::swap_behavior,
     "Role agent: NoSwap, or LimitedSwap: on cgroup v2, containers of Burstable pods have of the node's swap what "
     "their "
     "requests are of its memory"},
    {"singleProcessOOMKill", "--single-process-oom-kill", &NodeConfig::single_process_oom_kill,
     "Role agent: want of memory ends one process, not all of its container's (cgroup v2; on v1 it is always so)"},
    {"protectKernelDefaults", "--protect-kernel-defaults", &NodeConfig::protect_kernel_defaults,
     "Role agent: do not start where vm.overcommit_memory, kernel.panic ... are not what the kubelet wants, instead of "
     "setting them"},
    {"setKernelDefaults", "--set-kernel-defaults", &NodeConfig::set_kernel_defaults,
     "Role agent in a cluster: set them, where they are not protected; without, they are left as they are"},
};

}  // namespace

std::span<const Setting> pod_settings() {
  return kSettings;
}

}  // namespace keelson::cli
