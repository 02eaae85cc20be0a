// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/kubelet_config.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "cmd/keelson/component_config.h"
#include "common/fd.h"

namespace keelson::cli {

namespace fs = std::filesystem;

namespace {

constexpr const char* kApiVersion = "kubelet.config.k8s.io/v1beta1";
constexpr const char* kKind = "KubeletConfiguration";

/// What is read before it becomes settings.
struct Reading {
  NodeConfig config;
  bool update_given = false;
  bool report_given = false;
  std::optional<std::map<std::string, std::string>> eviction_hard;
  std::optional<bool> serialize_pulls;
  std::optional<int64_t> parallel_pulls;
  bool server = true;
  bool merge_evictions = false;
};

using Type = FieldType;
using Field = ComponentField<Reading>;

constexpr const char* kLogs = "use logLevel or --log-level";
constexpr const char* kEvents = "exits and changes come as events";
constexpr const char* kNoManagers = "memory and devices are not pinned";
constexpr const char* kIptables = "no iptables rules are made";
constexpr const char* kDebugFlags = "the level of the log is --log-level's";
constexpr const char* kContention = "there are no locks to profile";
constexpr const char* kByFolder = "manifests are read from a folder (staticPodPath), by inotify";
constexpr const char* kDefaultHttp = "20s";

template <std::string NodeConfig::* field>
void set_text(Reading& reading, const YAML::Node& value) {
  reading.config.*field = value.as<std::string>();
}
template <bool NodeConfig::* field>
void set_flag(Reading& reading, const YAML::Node& value) {
  reading.config.*field = value.as<bool>();
}
template <std::vector<std::string> NodeConfig::* field>
void set_texts(Reading& reading, const YAML::Node& value) {
  reading.config.*field = value.as<std::vector<std::string>>();
}
/// {memory: 1Gi} as "memory=1Gi".
template <std::vector<std::string> NodeConfig::* field, char sign = '='>
void set_pairs(Reading& reading, const YAML::Node& value) {
  (reading.config.*field).clear();
  for (const auto& [key, text] : value.as<std::map<std::string, std::string>>()) {
    (reading.config.*field).push_back(fmt::format("{}{}{}", key, sign, text));
  }
}

std::string member(const YAML::Node& map, const char* key) {
  return map[key] && map[key].IsScalar() ? map[key].Scalar() : "";
}

void set_taints(Reading& reading, const YAML::Node& value) {
  reading.config.register_with_taints.clear();
  for (const auto& taint : value) {
    const auto key = member(taint, "key");
    const auto text = member(taint, "value");
    reading.config.register_with_taints.push_back(
        fmt::format("{}{}{}:{}", key, text.empty() ? "" : "=", text, member(taint, "effect")));
  }
}

void set_eviction_hard(Reading& reading, const YAML::Node& value) {
  reading.eviction_hard = value.as<std::map<std::string, std::string>>();
}

/// {Some: true} as "Some=true".
void set_gates(Reading& reading, const YAML::Node& value) {
  reading.config.feature_gates.clear();
  for (const auto& [name, on] : value.as<std::map<std::string, bool>>()) {
    reading.config.feature_gates.push_back(fmt::format("{}={}", name, on));
  }
}

/// [{priority: 1000, shutdownGracePeriodSeconds: 30}] as "1000=30s".
void set_shutdown_periods(Reading& reading, const YAML::Node& value) {
  reading.config.shutdown_grace_period_by_pod_priority.clear();
  for (const auto& period : value) {
    const auto priority = member(period, "priority");
    const auto seconds = member(period, "shutdownGracePeriodSeconds");
    reading.config.shutdown_grace_period_by_pod_priority.push_back(
        fmt::format("{}={}s", priority.empty() ? "0" : priority, seconds.empty() ? "0" : seconds));
  }
}

void set_update_frequency(Reading& reading, const YAML::Node& value) {
  reading.config.node_status_update_frequency = value.as<std::string>();
  reading.update_given = true;
}
void set_report_frequency(Reading& reading, const YAML::Node& value) {
  reading.config.node_status_report_frequency = value.as<std::string>();
  reading.report_given = true;
}

void set_server(Reading& reading, const YAML::Node& value) {
  reading.server = value.as<bool>();
}
void set_serialize(Reading& reading, const YAML::Node& value) {
  reading.serialize_pulls = value.as<bool>();
}
void set_parallel_pulls(Reading& reading, const YAML::Node& value) {
  reading.parallel_pulls = value.as<int64_t>();
}

/// klog's: from 4 on it is for whoever looks for a fault.
void set_verbosity(Reading& reading, const YAML::Node& value) {
  if (value.as<int64_t>() >= 4) {
    reading.config.log_level = "debug";
  }
}

std::string socket_of(const std::string& endpoint) {
  constexpr std::string_view kScheme = "unix://";
  return endpoint.starts_with(kScheme) ? endpoint.substr(kScheme.size()) : endpoint;
}
void set_runtime(Reading& reading, const YAML::Node& value) {
  reading.config.cri_socket = socket_of(value.as<std::string>());
}
void set_image_service(Reading& reading, const YAML::Node& value) {
  reading.config.image_socket = socket_of(value.as<std::string>());
}

const Field kFields[] = {
    {"enableServer", Type::flag, &set_server, "", "", true},
    {"address", Type::text, &set_text<&NodeConfig::kubelet_address>, ""},
    {"port", Type::number, &set_text<&NodeConfig::kubelet_port>, ""},
    {"readOnlyPort", Type::number, nullptr, "nothing is served without authentication"},
    {"healthzPort", Type::number, &set_text<&NodeConfig::kubelet_healthz_port>, "", "", true},
    {"healthzBindAddress", Type::text, &set_text<&NodeConfig::kubelet_healthz_address>, ""},
    {"registerNode", Type::flag, &set_flag<&NodeConfig::register_node>, "", "", true},
    {"registerWithTaints", Type::objects, &set_taints, ""},
    {"providerID", Type::text, &set_text<&NodeConfig::provider_id>, ""},
    {"contentType", Type::text, nullptr, ""},
    {"kubeAPIQPS", Type::number, &set_text<&NodeConfig::kube_api_qps>, "", "", true},
    {"kubeAPIBurst", Type::number, &set_text<&NodeConfig::kube_api_burst>, ""},
    {"eventRecordQPS", Type::number, &set_text<&NodeConfig::event_qps>, "", "", true},
    {"eventBurst", Type::number, &set_text<&NodeConfig::event_burst>, ""},

    {"nodeStatusUpdateFrequency", Type::duration, &set_update_frequency, ""},
    {"nodeStatusReportFrequency", Type::duration, &set_report_frequency, ""},
    {"nodeLeaseDurationSeconds", Type::number, &set_text<&NodeConfig::node_lease_duration_seconds>, ""},
    {"nodeStatusMaxImages", Type::number, &set_text<&NodeConfig::node_status_max_images>, "", "", true},

    {"tlsCertFile", Type::text, &set_text<&NodeConfig::tls_cert_file>, ""},
    {"tlsPrivateKeyFile", Type::text, &set_text<&NodeConfig::tls_private_key_file>, ""},
    {"tlsCipherSuites", Type::texts, &set_texts<&NodeConfig::tls_cipher_suites>, ""},
    {"tlsMinVersion", Type::text, &set_text<&NodeConfig::tls_min_version>, ""},
    {"rotateCertificates", Type::flag, &set_flag<&NodeConfig::rotate_certificates>, ""},
    {"serverTLSBootstrap", Type::flag, &set_flag<&NodeConfig::server_tls_bootstrap>, ""},
    {"authentication.x509.clientCAFile", Type::text, &set_text<&NodeConfig::client_ca_file>, ""},
    {"authentication.webhook.enabled", Type::flag, &set_flag<&NodeConfig::token_webhook>, ""},
    {"authentication.webhook.cacheTTL", Type::duration, &set_text<&NodeConfig::token_webhook_cache_ttl>, ""},
    {"authentication.anonymous.enabled", Type::flag, &set_flag<&NodeConfig::anonymous_auth>, ""},
    {"authorization.mode", Type::text, &set_text<&NodeConfig::authorization_mode>, ""},
    {"authorization.webhook.cacheAuthorizedTTL", Type::duration, &set_text<&NodeConfig::authorized_cache_ttl>, ""},
    {"authorization.webhook.cacheUnauthorizedTTL", Type::duration, &set_text<&NodeConfig::unauthorized_cache_ttl>, ""},

    {"staticPodPath", Type::text, &set_text<&NodeConfig::manifest_dir>, ""},
    {"staticPodURL", Type::text, nullptr, kByFolder},
    {"staticPodURLHeader", Type::objects, nullptr, kByFolder},
    {"fileCheckFrequency", Type::duration, nullptr, kByFolder, kDefaultHttp},
    {"httpCheckFrequency", Type::duration, nullptr, kByFolder, kDefaultHttp},

    {"syncFrequency", Type::duration, nullptr, kEvents, "1m0s"},
    {"configMapAndSecretChangeDetectionStrategy", Type::text, nullptr, "they are watched", "Watch"},
    {"volumeStatsAggPeriod", Type::duration, nullptr, "volumes are measured when somebody asks", "1m0s"},

    {"containerRuntimeEndpoint", Type::text, &set_runtime, ""},
    {"imageServiceEndpoint", Type::text, &set_image_service, ""},
    {"runtimeRequestTimeout", Type::duration, &set_text<&NodeConfig::runtime_request_timeout>, ""},
    {"streamingConnectionIdleTimeout", Type::duration, &set_text<&NodeConfig::streaming_connection_idle_timeout>, ""},

    {"serializeImagePulls", Type::flag, &set_serialize, "", "", true},
    {"maxParallelImagePulls", Type::number, &set_parallel_pulls, ""},
    {"registryPullQPS", Type::number, &set_text<&NodeConfig::registry_qps>, "", "", true},
    {"registryBurst", Type::number, &set_text<&NodeConfig::registry_burst>, ""},
    {"imageMinimumGCAge", Type::duration, &set_text<&NodeConfig::image_minimum_gc_age>, ""},
    {"imageMaximumGCAge", Type::duration, &set_text<&NodeConfig::image_maximum_gc_age>, ""},
    {"imageGCHighThresholdPercent", Type::number, &set_text<&NodeConfig::image_gc_high_threshold>, "", "", true},
    {"imageGCLowThresholdPercent", Type::number, &set_text<&NodeConfig::image_gc_low_threshold>, "", "", true},
    {"imagePullCredentialsVerificationPolicy", Type::text, nullptr, "images that are there are not verified again",
     "NeverVerify"},
    {"preloadedImagesVerificationAllowlist", Type::texts, nullptr, "images that are there are not verified again"},

    {"clusterDNS", Type::texts, &set_texts<&NodeConfig::cluster_dns>, ""},
    {"clusterDomain", Type::text, &set_text<&NodeConfig::cluster_domain>, ""},
    {"resolvConf", Type::text, &set_text<&NodeConfig::resolv_conf>, "", "", true},
    {"hairpinMode", Type::text, nullptr, "hairpins are the network's", "promiscuous-bridge"},
    {"podCIDR", Type::text, nullptr, "pods' addresses are the network's"},
    {"makeIPTablesUtilChains", Type::flag, nullptr, kIptables},
    {"iptablesMasqueradeBit", Type::number, nullptr, kIptables, "14"},
    {"iptablesDropBit", Type::number, nullptr, kIptables, "15"},

    {"cgroupDriver", Type::text, &set_text<&NodeConfig::cgroup_driver>, ""},
    {"cgroupRoot", Type::text, &set_text<&NodeConfig::cgroup_root>, ""},
    {"cgroupsPerQOS", Type::flag, nullptr, "pods always have cgroups by their QoS", "true", true},
    {"kubeletCgroups", Type::text, nullptr, "the daemon stays where its service manager has put it"},
    {"systemCgroups", Type::text, nullptr, "processes of others stay where they are"},
    {"cpuCFSQuota", Type::flag, &set_flag<&NodeConfig::cpu_cfs_quota>, "", "", true},
    {"cpuCFSQuotaPeriod", Type::duration, &set_text<&NodeConfig::cpu_cfs_quota_period>, ""},
    {"singleProcessOOMKill", Type::flag, &set_flag<&NodeConfig::single_process_oom_kill>, ""},
    {"memoryThrottlingFactor", Type::rate, nullptr, "memory is not throttled", "0.9"},
    {"failCgroupV1", Type::flag, nullptr, "cgroup v1 does as well"},

    {"maxPods", Type::number, &set_text<&NodeConfig::max_pods>, ""},
    {"podsPerCore", Type::number, &set_text<&NodeConfig::pods_per_core>, ""},
    {"podPidsLimit", Type::number, &set_text<&NodeConfig::pod_pids_limit>, ""},
    {"systemReserved", Type::pairs, &set_pairs<&NodeConfig::system_reserved>, ""},
    {"kubeReserved", Type::pairs, &set_pairs<&NodeConfig::kube_reserved>, ""},
    {"reservedSystemCPUs", Type::text, &set_text<&NodeConfig::reserved_system_cpus>, ""},
    {"enforceNodeAllocatable", Type::texts, &set_texts<&NodeConfig::enforce_node_allocatable>, "", "", true},
    {"systemReservedCgroup", Type::text, &set_text<&NodeConfig::system_reserved_cgroup>, ""},
    {"kubeReservedCgroup", Type::text, &set_text<&NodeConfig::kube_reserved_cgroup>, ""},
    {"qosReserved", Type::pairs, nullptr, "memory is not reserved by QoS"},
    {"localStorageCapacityIsolation", Type::flag, nullptr, "ephemeral storage is always counted", "true", true},

    {"mergeDefaultEvictionSettings", Type::flag,
     [](Reading& r, const YAML::Node& v) { r.merge_evictions = v.as<bool>(); }, ""},
    {"evictionHard", Type::pairs, &set_eviction_hard, "", "", true},
    {"evictionSoft", Type::pairs, &set_pairs<&NodeConfig::eviction_soft, '<'>, ""},
    {"evictionSoftGracePeriod", Type::pairs, &set_pairs<&NodeConfig::eviction_soft_grace_period>, ""},
    {"evictionPressureTransitionPeriod", Type::duration, &set_text<&NodeConfig::eviction_pressure_transition_period>,
     ""},
    {"evictionMaxPodGracePeriod", Type::number, &set_text<&NodeConfig::eviction_max_pod_grace_period>, ""},
    {"evictionMinimumReclaim", Type::pairs, &set_pairs<&NodeConfig::eviction_minimum_reclaim>, ""},
    {"kernelMemcgNotification", Type::flag, nullptr, "what is left of memory is looked at each 10s"},

    {"podLogsDir", Type::text, &set_text<&NodeConfig::pod_logs_dir>, ""},
    {"containerLogMaxSize", Type::text, &set_text<&NodeConfig::container_log_max_size>, ""},
    {"containerLogMaxFiles", Type::number, &set_text<&NodeConfig::container_log_max_files>, ""},
    {"containerLogMaxWorkers", Type::number, &set_text<&NodeConfig::container_log_max_workers>, ""},
    {"containerLogMonitorInterval", Type::duration, &set_text<&NodeConfig::container_log_monitor_interval>, ""},
    {"enableSystemLogHandler", Type::flag, &set_flag<&NodeConfig::enable_system_log_handler>, "", "", true},
    {"enableSystemLogQuery", Type::flag, nullptr, "logs of the system are served, and not searched"},
    {"logging.format", Type::text, nullptr, kLogs, "text"},
    {"logging.flushFrequency", Type::text, nullptr, kLogs, "5s"},
    {"logging.verbosity", Type::number, &set_verbosity, ""},
    {"logging.vmodule", Type::objects, nullptr, kLogs},
    {"logging.options.json.infoBufferSize", Type::text, nullptr, kLogs},
    {"logging.options.json.splitStream", Type::flag, nullptr, kLogs},
    {"logging.options.text.infoBufferSize", Type::text, nullptr, kLogs},
    {"logging.options.text.splitStream", Type::flag, nullptr, kLogs},

    {"cpuManagerPolicy", Type::text, &set_text<&NodeConfig::cpu_manager_policy>, ""},
    {"cpuManagerPolicyOptions", Type::pairs, &set_pairs<&NodeConfig::cpu_manager_policy_options>, ""},
    {"cpuManagerReconcilePeriod", Type::duration, &set_text<&NodeConfig::cpu_manager_reconcile_period>, ""},
    {"memoryManagerPolicy", Type::text, nullptr, kNoManagers, "None"},
    {"reservedMemory", Type::objects, nullptr, kNoManagers},
    {"topologyManagerPolicy", Type::text, nullptr, kNoManagers, "none"},
    {"topologyManagerScope", Type::text, nullptr, kNoManagers, "container"},
    {"topologyManagerPolicyOptions", Type::pairs, nullptr, kNoManagers},

    {"failSwapOn", Type::flag, &set_flag<&NodeConfig::fail_swap_on>, "", "", true},
    {"memorySwap.swapBehavior", Type::text, &set_text<&NodeConfig::swap_behavior>, ""},
    {"seccompDefault", Type::flag, &set_flag<&NodeConfig::seccomp_default>, ""},
    {"allowedUnsafeSysctls", Type::texts, &set_texts<&NodeConfig::allowed_unsafe_sysctls>, ""},
    {"protectKernelDefaults", Type::flag, &set_flag<&NodeConfig::protect_kernel_defaults>, ""},
    {"userNamespaces.idsPerPod", Type::number, &set_text<&NodeConfig::user_namespace_ids_per_pod>, ""},

    {"shutdownGracePeriod", Type::duration, &set_text<&NodeConfig::shutdown_grace_period>, ""},
    {"shutdownGracePeriodCriticalPods", Type::duration, &set_text<&NodeConfig::shutdown_grace_period_critical_pods>,
     ""},
    {"shutdownGracePeriodByPodPriority", Type::objects, &set_shutdown_periods, ""},
    {"crashLoopBackOff.maxContainerRestartPeriod", Type::duration, &set_text<&NodeConfig::max_container_restart_period>,
     ""},

    {"enableControllerAttachDetach", Type::flag, nullptr, "volumes are attached by the controller", "true", true},
    {"volumePluginDir", Type::text, nullptr, "there are no flexVolume plugins",
     "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/"},

    {"enableDebuggingHandlers", Type::flag, &set_flag<&NodeConfig::enable_debugging_handlers>, "", "", true},
    {"enableContentionProfiling", Type::flag, nullptr, kContention},
    {"enableProfilingHandler", Type::flag, &set_flag<&NodeConfig::enable_profiling_handler>, "", "", true},
    {"enableDebugFlagsHandler", Type::flag, nullptr, kDebugFlags, "true"},
    {"tracing.endpoint", Type::text, nullptr, "no traces are sent"},
    {"tracing.samplingRatePerMillion", Type::number, nullptr, "no traces are sent"},
    {"showHiddenMetricsForVersion", Type::text, nullptr, "no metrics are hidden"},
    {"oomScoreAdj", Type::number, nullptr, "it is the service manager's", "-999"},
    {"maxOpenFiles", Type::number, nullptr, "it is the service manager's", "1000000"},
    {"featureGates", Type::flags, &set_gates, ""},
    {"runOnce", Type::flag, nullptr, "the daemon goes on"},
};

/// {memory.available: 100Mi} as "memory.available<100Mi", instead of the defaults or beside them; {} is no threshold.
void apply_eviction_hard(Reading& reading, const std::map<std::string, std::string>& given) {
  auto& hard = reading.config.eviction_hard;
  std::erase_if(hard, [&](const std::string& threshold) {
    return !reading.merge_evictions || given.contains(threshold.substr(0, threshold.find('<')));
  });
  for (const auto& [signal, amount] : given) {
    hard.push_back(fmt::format("{}<{}", signal, amount));
  }
}

/// The kubelet pulls one after the other unless it is told otherwise; here that has to be asked for.
Result<> apply_pulls(Reading& reading) {
  const auto most = reading.parallel_pulls;
  if (most && *most < 1) {
    return fail(Kind::invalid, "maxParallelImagePulls: {} is less than 1", *most);
  }
  if (reading.serialize_pulls.value_or(false) && most.value_or(1) > 1) {
    return fail(Kind::invalid, "maxParallelImagePulls: {} needs serializeImagePulls: false beside it", *most);
  }
  if (most) {
    reading.config.max_parallel_image_pulls = std::to_string(*most);
  } else if (reading.serialize_pulls) {
    reading.config.max_parallel_image_pulls = *reading.serialize_pulls ? "1" : "0";
  }
  return {};
}

}  // namespace

Result<NodeConfig> parse_kubelet_config(const std::string& text, const std::string& file, NodeConfig base) {
  return parse_kubelet_config(std::vector{ConfigText{.name = file, .text = text}}, std::move(base));
}

Result<NodeConfig> parse_kubelet_config(std::span<const ConfigText> files, NodeConfig base) {
  YAML::Node all(YAML::NodeType::Map);
  std::vector<std::string> notes;
  for (const auto& [name, text] : files) {
    const ComponentFile file{kApiVersion, kKind, name};
    // Each by itself first, for what is wrong has a line in one of them.
    Reading alone;
    KEELSON_TRY(const auto root, load_component(text, file));
    KEELSON_DO(read_component<Reading>(root, file, kFields, alone, notes));
    all = merge_patch(all, root);
  }
  Reading reading;
  reading.config = std::move(base);
  std::vector<std::string> told;
  const std::string name = "KubeletConfiguration";
  KEELSON_DO(read_component<Reading>(all, {kApiVersion, kKind, name}, kFields, reading, told));
  if (reading.eviction_hard) {
    apply_eviction_hard(reading, *reading.eviction_hard);
  }
  KEELSON_DO(apply_pulls(reading));
  auto& config = reading.config;
  if (!reading.server) {
    config.kubelet_port = "0";
  }
  config.notes.insert(config.notes.end(), notes.begin(), notes.end());
  if (reading.update_given && !reading.report_given) {
    config.node_status_report_frequency = config.node_status_update_frequency;  // the kubelet's default then
  }
  return std::move(config);
}

Result<std::vector<ConfigText>> read_drop_ins(const std::string& folder) {
  std::vector<ConfigText> files;
  std::error_code error;
  auto walk = fs::recursive_directory_iterator(folder, error);
  for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
    if (walk->path().extension() == ".conf" && !walk->is_directory()) {
      KEELSON_TRY(auto text, read_file(walk->path()));
      files.push_back({.name = walk->path(), .text = std::move(text)});
    }
  }
  if (error) {
    return fail_errno(error.value(), "read {}", folder);
  }
  std::ranges::sort(files, {}, [](const ConfigText& file) { return fs::path(file.name); });
  return files;
}

}  // namespace keelson::cli
