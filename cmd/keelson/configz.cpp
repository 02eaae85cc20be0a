// SPDX-License-Identifier: Apache-2.0
// The configuration that runs as a KubeletConfiguration, for /configz: every field of 1.34, those that mean nothing
// here with the value that asks for nothing.
#include <algorithm>
#include <charconv>

#include <boost/json.hpp>

#include "agent/node/node_labels.h"
#include "cmd/keelson/kubelet_api_options.h"
#include "cmd/keelson/node.h"
#include "common/duration.h"

namespace keelson::cli {

namespace {

namespace json = boost::json;
using Texts = std::vector<std::string>;

json::array list(const Texts& texts) {
  json::array all;
  for (const auto& text : texts) {
    all.emplace_back(text);
  }
  return all;
}

int64_t number(const std::string& text, int64_t otherwise = 0) {
  int64_t value = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// As metav1.Duration is written: "1h0m0s", "5m0s", "100ms".
std::string duration(const std::string& text) {
  const auto parsed = parse_duration(text);
  return parsed ? duration_text(*parsed) : text;
}

/// "memory.available<100Mi" or "memory=1Gi" as {"memory": "1Gi"}.
json::object pairs(const Texts& texts, char sign) {
  json::object all;
  for (const auto& text : texts) {
    const size_t at = text.find(sign);
    all[text.substr(0, at)] = at == std::string::npos ? "" : text.substr(at + 1);
  }
  return all;
}

/// "NAME=true"
json::object gates(const Texts& texts) {
  json::object all;
  for (const auto& [name, value] : pairs(texts, '=')) {
    all[name] = value == "true";
  }
  return all;
}

/// "Name: value", whose value is nobody's business (the kubelet's word for it).
json::object masked(const Texts& headers) {
  json::object all;
  for (const auto& header : headers) {
    all[header.substr(0, header.find(':'))] = json::array{"<masked>"};
  }
  return all;
}

json::array taints(const Texts& texts) {
  json::array all;
  for (const auto& taint : agent::parse_taints(texts).value_or(std::vector<kube::Taint>())) {
    auto& shown = all.emplace_back(json::object{{"key", taint.key}, {"effect", taint.effect}}).as_object();
    if (!taint.value.empty()) {
      shown["value"] = taint.value;
    }
  }
  return all;
}

/// "1000=30s"
json::array shutdown_periods(const Texts& texts) {
  json::array all;
  for (const auto& text : texts) {
    const size_t sign = text.find('=');
    const auto time = parse_duration(text.substr(std::min(sign, text.size() - 1) + 1));
    all.push_back(json::object{
        {"priority", number(text.substr(0, sign))},
        {"shutdownGracePeriodSeconds", time ? std::chrono::duration_cast<std::chrono::seconds>(*time).count() : 0}});
  }
  return all;
}

json::object serving(const NodeConfig& config) {
  return {
      {"enableServer", kubelet_port(config) != 0},
      {"staticPodPath", config.manifest_dir},
      {"staticPodURL", config.manifest_url},
      {"staticPodURLHeader", masked(config.manifest_url_headers)},
      {"syncFrequency", "1m0s"},
      {"fileCheckFrequency", "20s"},
      {"httpCheckFrequency", duration(config.manifest_check_frequency)},
      {"address", config.kubelet_address},
      {"port", kubelet_port(config)},
      {"readOnlyPort", 0},
      {"tlsCertFile", config.tls_cert_file},
      {"tlsPrivateKeyFile", config.tls_private_key_file},
      {"tlsCipherSuites", list(config.tls_cipher_suites)},
      {"tlsMinVersion", config.tls_min_version},
      {"rotateCertificates", config.rotate_certificates},
      {"serverTLSBootstrap", config.server_tls_bootstrap},
      {"authentication", json::object{{"x509", json::object{{"clientCAFile", config.client_ca_file}}},
                                      {"webhook", json::object{{"enabled", config.token_webhook},
                                                               {"cacheTTL", duration(config.token_webhook_cache_ttl)}}},
                                      {"anonymous", json::object{{"enabled", config.anonymous_auth}}}}},
      {"authorization",
       json::object{{"mode", config.authorization_mode},
                    {"webhook", json::object{{"cacheAuthorizedTTL", duration(config.authorized_cache_ttl)},
                                             {"cacheUnauthorizedTTL", duration(config.unauthorized_cache_ttl)}}}}},
      {"enableDebuggingHandlers", config.enable_debugging_handlers},
      {"enableContentionProfiling", false},
      {"enableSystemLogHandler", config.enable_system_log_handler},
      {"enableSystemLogQuery", false},
      {"enableProfilingHandler", config.enable_profiling_handler},
      {"enableDebugFlagsHandler", false},
      {"healthzPort", kubelet_healthz_port(config)},
      {"healthzBindAddress", config.kubelet_healthz_address},
      {"streamingConnectionIdleTimeout", duration(config.streaming_connection_idle_timeout)}};
}

json::object node(const NodeConfig& config) {
  return {{"registerNode", config.register_node},
          {"registerWithTaints", taints(config.register_with_taints)},
          {"providerID", config.provider_id},
          {"registryPullQPS", number(config.registry_qps)},
          {"registryBurst", number(config.registry_burst)},
          {"eventRecordQPS", number(config.event_qps)},
          {"eventBurst", number(config.event_burst)},
          {"kubeAPIQPS", number(config.kube_api_qps)},
          {"kubeAPIBurst", number(config.kube_api_burst)},
          {"contentType", "application/json"},
          {"nodeStatusUpdateFrequency", duration(config.node_status_update_frequency)},
          {"nodeStatusReportFrequency", duration(config.node_status_report_frequency)},
          {"nodeLeaseDurationSeconds", number(config.node_lease_duration_seconds)},
          {"nodeStatusMaxImages", number(config.node_status_max_images)},
          {"maxPods", number(config.max_pods)},
          {"podsPerCore", number(config.pods_per_core)},
          {"systemReserved", pairs(config.system_reserved, '=')},
          {"kubeReserved", pairs(config.kube_reserved, '=')},
          {"reservedSystemCPUs", config.reserved_system_cpus},
          {"enforceNodeAllocatable", list(config.enforce_node_allocatable)},
          {"systemReservedCgroup", config.system_reserved_cgroup},
          {"kubeReservedCgroup", config.kube_reserved_cgroup},
          {"evictionHard", pairs(config.eviction_hard, '<')},
          {"evictionSoft", pairs(config.eviction_soft, '<')},
          {"evictionSoftGracePeriod", pairs(config.eviction_soft_grace_period, '=')},
          {"evictionMinimumReclaim", pairs(config.eviction_minimum_reclaim, '=')},
          {"evictionMaxPodGracePeriod", number(config.eviction_max_pod_grace_period)},
          {"evictionPressureTransitionPeriod", duration(config.eviction_pressure_transition_period)},
          {"mergeDefaultEvictionSettings", false},
          {"kernelMemcgNotification", false},
          {"imageMinimumGCAge", duration(config.image_minimum_gc_age)},
          {"imageMaximumGCAge", duration(config.image_maximum_gc_age)},
          {"imageGCHighThresholdPercent", number(config.image_gc_high_threshold)},
          {"imageGCLowThresholdPercent", number(config.image_gc_low_threshold)},
          {"shutdownGracePeriod", duration(config.shutdown_grace_period)},
          {"shutdownGracePeriodCriticalPods", duration(config.shutdown_grace_period_critical_pods)},
          {"shutdownGracePeriodByPodPriority", shutdown_periods(config.shutdown_grace_period_by_pod_priority)},
          {"failSwapOn", config.fail_swap_on},
          {"memorySwap", config.swap_behavior == "LimitedSwap" ? json::object{{"swapBehavior", config.swap_behavior}}
                                                               : json::object()},
          {"protectKernelDefaults", config.protect_kernel_defaults},
          {"oomScoreAdj", -999},
          {"maxOpenFiles", 1000000},
          {"featureGates", gates(config.feature_gates)},
          {"logging", json::object{{"format", "text"},
                                   {"flushFrequency", "5s"},
                                   {"verbosity", config.log_level == "debug" ? 4 : 0},
                                   {"options", json::object()}}}};
}

json::object pods(const NodeConfig& config) {
  const bool one_by_one = number(config.max_parallel_image_pulls) == 1;
  json::object fields{
      {"clusterDomain", config.cluster_domain},
      {"clusterDNS", list(config.cluster_dns)},
      {"resolvConf", config.resolv_conf},
      {"volumeStatsAggPeriod", "1m0s"},
      {"cgroupRoot", config.cgroup_root},
      {"cgroupsPerQOS", true},
      {"cgroupDriver", config.cgroup_driver},
      {"failCgroupV1", false},
      {"cpuManagerPolicy", config.cpu_manager_policy},
      {"cpuManagerReconcilePeriod", duration(config.cpu_manager_reconcile_period)},
      {"memoryManagerPolicy", "None"},
      {"topologyManagerPolicy", "none"},
      {"topologyManagerScope", "container"},
      {"runtimeRequestTimeout", duration(config.runtime_request_timeout)},
      {"hairpinMode", "promiscuous-bridge"},
      {"podPidsLimit", std::max<int64_t>(number(config.pod_pids_limit, -1), -1)},
      {"userNamespaces", json::object{{"idsPerPod", number(config.user_namespace_ids_per_pod)}}},
      {"cpuCFSQuota", config.cpu_cfs_quota},
      {"cpuCFSQuotaPeriod", duration(config.cpu_cfs_quota_period)},
      {"serializeImagePulls", one_by_one},
      {"imagePullCredentialsVerificationPolicy", "NeverVerify"},
      {"enableControllerAttachDetach", true},
      {"makeIPTablesUtilChains", false},
      {"configMapAndSecretChangeDetectionStrategy", "Watch"},
      {"localStorageCapacityIsolation", true},
      {"containerLogMaxSize", config.container_log_max_size},
      {"containerLogMaxFiles", number(config.container_log_max_files)},
      {"containerLogMaxWorkers", number(config.container_log_max_workers)},
      {"containerLogMonitorInterval", duration(config.container_log_monitor_interval)},
      {"seccompDefault", config.seccomp_default},
      {"allowedUnsafeSysctls", list(config.allowed_unsafe_sysctls)},
      {"crashLoopBackOff", json::object{{"maxContainerRestartPeriod", duration(config.max_container_restart_period)}}},
      {"containerRuntimeEndpoint", "unix://" + cri_socket(config)},
      {"singleProcessOOMKill", config.single_process_oom_kill},
      {"podLogsDir", config.pod_logs_dir}};
  if (!config.cpu_manager_policy_options.empty()) {
    fields["cpuManagerPolicyOptions"] = pairs(config.cpu_manager_policy_options, '=');
  }
  if (!config.image_socket.empty()) {
    fields["imageServiceEndpoint"] = "unix://" + config.image_socket;
  }
  if (const auto most = number(config.max_parallel_image_pulls); most > 0) {
    fields["maxParallelImagePulls"] = most;
  }
  return fields;
}

}  // namespace

std::string kubelet_configuration(const NodeConfig& config) {
  json::object all{{"kind", "KubeletConfiguration"}, {"apiVersion", "kubelet.config.k8s.io/v1beta1"}};
  for (auto part : {serving(config), node(config), pods(config)}) {
    all.insert(part.begin(), part.end());
  }
  return json::serialize(all);
}

}  // namespace keelson::cli
