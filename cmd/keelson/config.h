// SPDX-License-Identifier: Apache-2.0
// The node's configuration: one table of settings drives the YAML file, the flags, --help and `config show`.
//
//   apiVersion: node.keelson.dev/v1alpha1
//   kind: KeelsonConfiguration
//   manifestDir: /etc/keelson/manifests
//
// Flags override the file. Unknown keys are refused by name, with the nearest known one; all errors come at once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/result.h"
#include "http/bind_address.h"

namespace keelson::cli {

/// A running configuration is a value; a change is a new value.
struct NodeConfig {
  std::vector<std::string> roles = {"agent", "runtime"};
  std::string root = "/var/lib/keelson";
  std::string run = "/run/keelson";
  std::string manifest_dir;
  std::string manifest_url;
  std::string manifest_check_frequency = "20s";  ///< Of manifest_url.
  std::string kubeconfig;                        ///< "in-cluster": that of a pod
  std::string network_kubeconfig;                ///< empty: kubeconfig
  std::string node_name;                         ///< empty: the host name
  std::string image_socket;                      ///< of the CRI image service; empty: the runtime's
  std::string cri_socket;  ///< empty: <run>/cri.sock; with role runtime served there, otherwise only spoken to
  std::string shim;        ///< empty: keelson-shim beside the keelson binary
  std::string cni_conf_dir = "/etc/cni/net.d";
  std::vector<std::string> cni_bin_dirs;      ///< empty: /opt/cni/bin, /usr/lib/cni
  std::vector<std::string> runtime_handlers;  ///< NAME=COMMAND of OCI runtimes, for RuntimeClasses
  std::string registry_config_dir = "/etc/keelson/certs.d";
  std::string image_archive_dir;
  std::string stream_server_address = "127.0.0.1";
  std::string stream_server_port = "0";
  std::string stream_idle_timeout = "4h";
  std::string stream_tls_cert_file;  ///< both or neither
  std::string stream_tls_key_file;
  std::string pod_logs_dir = "/var/log/pods";
  std::string container_logs_dir = "/var/log/containers";
  // Names and defaults are the kubelet's.
  std::string container_log_max_size = "10Mi";
  std::string container_log_max_files = "5";
  std::string container_log_max_workers = "1";
  std::string container_log_monitor_interval = "10s";
  std::string cgroup_root = "/";
  std::string cgroup_driver = "cgroupfs";
  std::string image_credential_provider_config;  ///< with the next one, or neither
  std::string image_credential_provider_bin_dir;
  std::vector<std::string> cluster_dns;
  std::string cluster_domain = "cluster.local";
  std::string log_level = "info";
  bool remove_pods_on_exit = false;
  std::string bpf_dir = "/sys/fs/bpf/keelson";
  std::string socket_cgroup;         ///< empty: the root of cgroup v2
  std::vector<std::string> uplinks;  ///< empty: the link of the default route
  std::string topology_zone;
  bool xdp = false;
  bool masquerade_all = false;
  std::vector<std::string> node_port_addresses;  ///< CIDRs, or "primary"; empty: every address of the node
  bool localhost_node_ports = true;
  std::string service_forwarding = "snat";
  std::string service_algorithm = "random";
  std::string service_mode = "route";  ///< network::ServiceMode
  std::string hand_back_timeout;       ///< With hand-back; empty: none
  bool remove_services_on_exit = false;
  std::string healthz_bind_address = "0.0.0.0:10256";  ///< empty: not served
  std::string metrics_bind_address = "127.0.0.1:10249";
  bool bind_address_hard_fail = false;
  std::string detect_local_mode;          ///< empty: by links, every veth is a pod's
  std::vector<std::string> cluster_cidr;  ///< with ClusterCIDR
  std::string pod_bridge_interface;       ///< with BridgeInterface
  std::string pod_interface_name_prefix;  ///< with InterfaceNamePrefix
  std::string max_connections = "262144";
  std::string bpf_memory = "256";  ///< MiB
  std::string tcp_established_timeout = "24h";
  std::string udp_timeout = "30s";
  std::string udp_stream_timeout = "120s";
  // The kubelet API. Names and defaults are the kubelet's.
  std::string kubelet_address = "0.0.0.0";
  std::string kubelet_port;  ///< empty: 10250 with a kubeconfig, otherwise not served; "0": not served
  std::string kubelet_healthz_address = "127.0.0.1";
  std::string kubelet_healthz_port;  ///< The same with 10248.
  std::string cert_dir;              ///< empty: <root>/pki
  std::string tls_cert_file;         ///< both or neither
  std::string tls_private_key_file;
  std::string tls_min_version = "VersionTLS12";
  std::vector<std::string> tls_cipher_suites;
  bool enable_debugging_handlers = true;
  bool enable_profiling_handler = true;
  bool enable_system_log_handler = true;
  std::string client_ca_file;
  bool anonymous_auth = false;
  bool token_webhook = true;
  std::string token_webhook_cache_ttl = "2m";
  std::string authorization_mode = "Webhook";
  std::string authorized_cache_ttl = "5m";
  std::string unauthorized_cache_ttl = "30s";
  std::string streaming_connection_idle_timeout = "4h";
  // Of a node of a cluster. Names and defaults are the kubelet's.
  bool register_node = true;
  std::vector<std::string> node_labels;
  std::vector<std::string> register_with_taints;
  std::string provider_id;
  std::string cloud_provider;
  std::vector<std::string> node_ip;
  std::string max_pods = "110";
  std::string pods_per_core = "0";
  std::vector<std::string> system_reserved;
  std::vector<std::string> kube_reserved;
  std::string reserved_system_cpus;
  std::string cpu_manager_policy = "none";
  std::vector<std::string> cpu_manager_policy_options;  ///< NAME=VALUE
  std::string cpu_manager_reconcile_period = "10s";
  std::vector<std::string> feature_gates;  ///< NAME=true
  std::vector<std::string> enforce_node_allocatable = {"pods"};
  std::string system_reserved_cgroup;
  std::string kube_reserved_cgroup;
  std::string resolv_conf = "/etc/resolv.conf";  ///< empty: none
  std::string pod_pids_limit = "-1";
  bool seccomp_default = false;
  std::vector<std::string> allowed_unsafe_sysctls;
  std::string user_namespace_ids_per_pod = "65536";
  bool cpu_cfs_quota = true;
  std::string cpu_cfs_quota_period = "100ms";
  std::string max_container_restart_period = "5m";
  std::string max_parallel_image_pulls = "0";  ///< 0: any
  std::string registry_qps = "0";              ///< 0: any
  std::string registry_burst = "10";
  std::string kube_api_qps = "50";
  std::string kube_api_burst = "100";
  std::string event_qps = "50";
  std::string event_burst = "100";
  std::string runtime_request_timeout = "2m";
  bool fail_swap_on = true;
  std::string swap_behavior = "NoSwap";  ///< or LimitedSwap
  bool single_process_oom_kill = false;
  bool protect_kernel_defaults = false;
  bool set_kernel_defaults = true;
  std::vector<std::string> eviction_hard = {"memory.available<100Mi", "nodefs.available<10%", "nodefs.inodesFree<5%",
                                            "imagefs.available<15%", "imagefs.inodesFree<5%"};
  std::vector<std::string> eviction_soft;
  std::vector<std::string> eviction_soft_grace_period;
  std::vector<std::string> eviction_minimum_reclaim;
  std::string eviction_max_pod_grace_period = "0";
  std::string eviction_pressure_transition_period = "5m";
  std::string shutdown_grace_period = "0s";
  std::string shutdown_grace_period_critical_pods = "0s";
  std::vector<std::string> shutdown_grace_period_by_pod_priority;  ///< PRIORITY=DURATION
  std::string image_gc_high_threshold = "85";
  std::string image_gc_low_threshold = "80";
  std::string image_minimum_gc_age = "2m";
  std::string image_maximum_gc_age = "0s";
  std::string node_status_update_frequency = "10s";
  std::string node_status_report_frequency = "5m";
  std::string node_lease_duration_seconds = "40";
  std::string node_status_max_images = "50";
  std::string bootstrap_kubeconfig;
  bool rotate_certificates = false;
  bool server_tls_bootstrap = false;
  bool as_kubelet = false;                        ///< Not a setting: a KubeletConfiguration was read.
  std::vector<std::string> manifest_url_headers;  ///< Not a setting, for it may be secret: "Name: value".
  /// Not a setting: what the log tells of these when the daemon starts, such as fields of other programs' files that
  /// mean nothing here.
  std::vector<std::string> notes;
};

/// One setting: its key in the file, its flag, where it lives, and what it does.
struct Setting {
  const char* key;
  const char* flag;
  std::variant<std::string NodeConfig::*, std::vector<std::string> NodeConfig::*, bool NodeConfig::*> field;
  const char* help;
};

/// 0 to 65535. Kind::invalid.
Result<uint16_t> parse_port(std::string_view text);

/// 1024 to 2^26: how many flows a connection table may grow for. Kind::invalid.
Result<uint32_t> parse_connections(std::string_view text);
/// Bytes; the text is in MiB, 16 to 2^20. Kind::invalid.
Result<uint64_t> parse_mebibytes(std::string_view text);

/// kube-proxy's ports for its health and its metrics.
inline constexpr uint16_t kHealthzPort = 10256;
inline constexpr uint16_t kMetricsPort = 10249;
/// An address to listen on; none for an empty text. Kind::invalid.
Result<std::optional<http::BindAddress>> bind_address(const std::string& text, uint16_t default_port);

/// Every setting, in the order of --help.
std::span<const Setting> settings();
/// Those of the kubelet API (kubelet_api_settings.cpp), which are among them.
std::span<const Setting> kubelet_api_settings();
/// Those of a node of a cluster (cluster_settings.cpp), which are among them.
std::span<const Setting> cluster_settings();
/// Those of what pods get of the node (pod_settings.cpp), which are among them.
std::span<const Setting> pod_settings();

/// Reads a KeelsonConfiguration over `base`. Kind::invalid lists every wrong key as "FILE:LINE: key: what is wrong".
Result<NodeConfig> parse_config(const std::string& text, const std::string& file, NodeConfig base);

/// The configuration as the YAML that parse_config() reads.
std::string format_config(const NodeConfig& config);

/// The same as one JSON object.
std::string config_json(const NodeConfig& config);

/// Checks what no parser sees: roles that exist, absolute paths, a log level, what
/// belongs together. Kind::invalid names the key.
Result<> check_config(const NodeConfig& config);

}  // namespace keelson::cli
