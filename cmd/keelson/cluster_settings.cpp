// SPDX-License-Identifier: Apache-2.0
// The settings by which a node is part of a cluster: the kubelet's own names.
#include "cmd/keelson/config.h"

namespace keelson::cli {

namespace {

const Setting kSettings[] = {
    {"registerNode", "--register-node", &NodeConfig::register_node,
     "Role agent with a kubeconfig: register as a Node of the cluster"},
    {"nodeLabels", "--node-labels", &NodeConfig::node_labels,
     "Role agent: labels to register with, KEY=VALUE (repeatable)"},
    {"registerWithTaints", "--register-with-taints", &NodeConfig::register_with_taints,
     "Role agent: taints to register with, KEY=VALUE:EFFECT (repeatable)"},
    {"providerID", "--provider-id", &NodeConfig::provider_id, "Role agent: what the cloud calls this machine"},
    {"cloudProvider", "--cloud-provider", &NodeConfig::cloud_provider,
     "Role agent: \"external\" if a cloud controller initialises nodes (default: none)"},
    {"nodeIP", "--node-ip", &NodeConfig::node_ip,
     "Role agent: this node's address, or one of each family; 0.0.0.0 or ::: the default route's of that family "
     "(default: the default route's)"},
    {"imageCredentialProviderConfig", "--image-credential-provider-config",
     &NodeConfig::image_credential_provider_config,
     "Role agent: a CredentialProviderConfig file, or a folder of them: programs that know credentials of registries"},
    {"imageCredentialProviderBinDir", "--image-credential-provider-bin-dir",
     &NodeConfig::image_credential_provider_bin_dir, "Role agent: the folder of these programs"},
    {"maxPods", "--max-pods", &NodeConfig::max_pods, "Role agent: how many pods may run here"},
    {"podsPerCore", "--pods-per-core", &NodeConfig::pods_per_core,
     "Role agent: how many for each CPU, at most maxPods (0: no such limit)"},
    {"systemReserved", "--system-reserved", &NodeConfig::system_reserved,
     "Role agent: cpu, memory, ephemeral-storage, pid left for daemons of the system, RESOURCE=AMOUNT or RESOURCE=15% "
     "(repeatable)"},
    {"kubeReserved", "--kube-reserved", &NodeConfig::kube_reserved,
     "Role agent: the same for this daemon and the runtime"},
    {"reservedSystemCPUs", "--reserved-cpus", &NodeConfig::reserved_system_cpus,
     "Role agent: CPUs left for the system, as 0-1,8; instead of the cpu of the two above"},
    {"evictionHard", "--eviction-hard", &NodeConfig::eviction_hard,
     "Role agent: below what the node is under pressure and pods are evicted at once, SIGNAL<AMOUNT (repeatable); "
     "replaces all defaults"},
    {"evictionSoft", "--eviction-soft", &NodeConfig::eviction_soft,
     "Role agent: the same, but pods are evicted after a grace period only (repeatable)"},
    {"evictionSoftGracePeriod", "--eviction-soft-grace-period", &NodeConfig::eviction_soft_grace_period,
     "Role agent: that period of each, SIGNAL=DURATION (repeatable)"},
    {"evictionMinimumReclaim", "--eviction-minimum-reclaim", &NodeConfig::eviction_minimum_reclaim,
     "Role agent: once pods are evicted, until so much more is left than the threshold, SIGNAL=AMOUNT (repeatable)"},
    {"evictionMaxPodGracePeriod", "--eviction-max-pod-grace-period", &NodeConfig::eviction_max_pod_grace_period,
     "Role agent: the most seconds that a pod has to end when a soft threshold is crossed"},
    {"evictionPressureTransitionPeriod", "--eviction-pressure-transition-period",
     &NodeConfig::eviction_pressure_transition_period, "Role agent: how long a pressure is told after it has gone"},
    {"shutdownGracePeriod", "--shutdown-grace-period", &NodeConfig::shutdown_grace_period,
     "Role agent: how long a shutdown of the machine waits for pods to end, by systemd-logind (0s: not at all)"},
    {"shutdownGracePeriodCriticalPods", "--shutdown-grace-period-critical-pods",
     &NodeConfig::shutdown_grace_period_critical_pods,
     "Role agent: how much of that is for critical pods, which end after all others"},
    {"shutdownGracePeriodByPodPriority", "--shutdown-grace-period-by-pod-priority",
     &NodeConfig::shutdown_grace_period_by_pod_priority,
     "Role agent: instead of these two, for pods from a priority on, PRIORITY=DURATION (repeatable)"},
    {"imageGCHighThresholdPercent", "--image-gc-high-threshold", &NodeConfig::image_gc_high_threshold,
     "Role agent: so full is the disk of images when unused ones are removed (100: never)"},
    {"imageGCLowThresholdPercent", "--image-gc-low-threshold", &NodeConfig::image_gc_low_threshold,
     "Role agent: until it is so full"},
    {"imageMinimumGCAge", "--minimum-image-ttl-duration", &NodeConfig::image_minimum_gc_age,
     "Role agent: no image that came later is removed"},
    {"imageMaximumGCAge", "--image-maximum-gc-age", &NodeConfig::image_maximum_gc_age,
     "Role agent: an image that nobody has used for so long is removed however much room there is (0s: it stays)"},
    {"nodeStatusUpdateFrequency", "--node-status-update-frequency", &NodeConfig::node_status_update_frequency,
     "Role agent: how often the node's status is worked out; news are sent"},
    {"nodeStatusReportFrequency", "--node-status-report-frequency", &NodeConfig::node_status_report_frequency,
     "Role agent: how often it is sent without news"},
    {"nodeLeaseDurationSeconds", "--node-lease-duration-seconds", &NodeConfig::node_lease_duration_seconds,
     "Role agent: for how long the node's Lease is good; renewed each quarter of it"},
    {"nodeStatusMaxImages", "--node-status-max-images", &NodeConfig::node_status_max_images,
     "Role agent: how many images the node's status lists (-1: all)"},
    {"bootstrapKubeconfig", "--bootstrap-kubeconfig", &NodeConfig::bootstrap_kubeconfig,
     "Role agent: who asks the cluster for the node's first client certificate; then --kubeconfig, which must be "
     "given, "
     "is written if it is not there"},
    {"rotateCertificates", "--rotate-certificates", &NodeConfig::rotate_certificates,
     "Role agent: renew the client certificate before it expires, into <certDir>/kubelet-client-current.pem, wherever "
     "the kubeconfig has it"},
    {"serverTLSBootstrap", "--server-tls-bootstrap", &NodeConfig::server_tls_bootstrap,
     "Role agent: have the cluster certify the node as a server, and serve the kubelet API with that certificate: "
     "<certDir>/kubelet-server-current.pem"},
};

}  // namespace

std::span<const Setting> cluster_settings() {
  return kSettings;
}

}  // namespace keelson::cli
