// SPDX-License-Identifier: Apache-2.0
// The table of settings, and the file that fills it.
#include "cmd/keelson/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include <boost/json.hpp>
#include <yaml-cpp/yaml.h>

#include "cmd/keelson/feature_gates.h"
#include "cmd/keelson/spelling.h"
#include "common/duration.h"
#include "http/bind_address.h"

namespace keelson::cli {

namespace {

constexpr const char* kApiVersion = "node.keelson.dev/v1alpha1";
constexpr const char* kKind = "KeelsonConfiguration";

const Setting kSettings[] = {
    {"roles", "--roles", &NodeConfig::roles, "What this daemon is: any of agent, runtime, network"},
    {"root", "--root", &NodeConfig::root, "State that survives a reboot"},
    {"manifestDir", "--manifests", &NodeConfig::manifest_dir,
     "Folder of Pods, ConfigMaps, Secrets, Services and EndpointSlices, YAML or JSON; watched"},
    {"staticPodURL", "--manifest-url", &NodeConfig::manifest_url,
     "Role agent: a URL of Pods, asked for again and again, beside the folder"},
    {"httpCheckFrequency", "--http-check-frequency", &NodeConfig::manifest_check_frequency,
     "Role agent: how often it is asked for"},
    {"kubeconfig", "--kubeconfig", &NodeConfig::kubeconfig,
     "Join this cluster: the agent runs the pods that its API binds to this node, those of the folder being static "
     "pods; the network takes Services, EndpointSlices and Nodes from it instead of the folder (\"in-cluster\": by the "
     "pod's service account)"},
    {"networkKubeconfig", "--network-kubeconfig", &NodeConfig::network_kubeconfig,
     "Role network: the same, for this role alone (default: --kubeconfig)"},
    {"nodeName", "--node-name", &NodeConfig::node_name, "The node's name (default: the host name)"},
    {"shim", "--shim", &NodeConfig::shim, "The keelson-shim binary (default: beside this one)"},
    {"cniConfDir", "--cni-conf-dir", &NodeConfig::cni_conf_dir, "CNI configurations; the first by name is used"},
    {"cniBinDirs", "--cni-bin-dir", &NodeConfig::cni_bin_dirs,
     "Where CNI plugins are (repeatable; default: /opt/cni/bin, /usr/lib/cni)"},
    {"runtimeHandlers", "--runtime-handler", &NodeConfig::runtime_handlers,
     "An OCI runtime for pods whose RuntimeClass names it: NAME=PROGRAM, options of its own behind (repeatable)"},
    {"registryConfigDir", "--registry-config-dir", &NodeConfig::registry_config_dir,
     "Registry mirrors and CAs: <registry>/hosts.toml"},
    {"imageArchiveDir", "--image-archives", &NodeConfig::image_archive_dir,
     "Load every *.tar of this folder before CRI is served and pods start"},
    {"streamServerAddress", "--stream-server-address", &NodeConfig::stream_server_address,
     "The IP address that serves exec, attach and port-forward"},
    {"streamServerPort", "--stream-server-port", &NodeConfig::stream_server_port, "Its port (0: any free one)"},
    {"streamIdleTimeout", "--stream-idle-timeout", &NodeConfig::stream_idle_timeout,
     "Ends an exec, attach or port-forward that carries nothing for so long"},
    {"streamTLSCertFile", "--stream-tls-cert-file", &NodeConfig::stream_tls_cert_file,
     "Certificate (PEM, its chain behind it) to serve them with TLS; replaced files are used at once"},
    {"streamTLSKeyFile", "--stream-tls-key-file", &NodeConfig::stream_tls_key_file, "The certificate's key (PEM)"},
    {"podLogsDir", "--pod-logs-dir", &NodeConfig::pod_logs_dir, "Container logs: <ns>_<pod>_<uid>/<container>/<n>.log"},
    {"containerLogsDir", "--container-logs-dir", &NodeConfig::container_logs_dir,
     "Links to them by name, as log shippers expect"},
    {"containerLogMaxSize", "--container-log-max-size", &NodeConfig::container_log_max_size,
     "Role agent: so large, the log of a running container is rotated, whichever runtime writes it (below 0: never)"},
    {"containerLogMaxFiles", "--container-log-max-files", &NodeConfig::container_log_max_files,
     "Role agent: how many files of one log there may be, itself among them"},
    {"containerLogMaxWorkers", "--container-log-max-workers", &NodeConfig::container_log_max_workers,
     "Role agent: how many logs are rotated at once"},
    {"containerLogMonitorInterval", "--container-log-monitor-interval", &NodeConfig::container_log_monitor_interval,
     "Role agent: how often logs are looked at"},
    {"cgroupRoot", "--cgroup-root", &NodeConfig::cgroup_root, "Below which the kubepods cgroups are made"},
    {"cgroupDriver", "--cgroup-driver", &NodeConfig::cgroup_driver,
     "Who makes cgroups: cgroupfs, or systemd (where it is PID 1); as the runtime's or the agent's peer has it"},
    {"clusterDNS", "--cluster-dns", &NodeConfig::cluster_dns,
     "Name servers of pods with dnsPolicy ClusterFirst (repeatable)"},
    {"clusterDomain", "--cluster-domain", &NodeConfig::cluster_domain, "The cluster's DNS domain"},
    {"logLevel", "--log-level", &NodeConfig::log_level, "debug, info, warning or error"},
    {"removePodsOnExit", "--remove-pods-on-exit", &NodeConfig::remove_pods_on_exit,
     "On SIGTERM end every pod and remove all traces, instead of leaving pods running"},
    {"bpfDir", "--bpf-dir", &NodeConfig::bpf_dir,
     "Role network: folder of a bpffs in which programs and tables are pinned"},
    {"socketCgroup", "--socket-cgroup", &NodeConfig::socket_cgroup,
     "Role network: translate services at connect() for processes of this cgroup v2 and below (default: its root)"},
    {"uplinks", "--uplinks", &NodeConfig::uplinks,
     "Role network: links by which others reach this node (repeatable; default: the default route's)"},
    {"topologyZone", "--topology-zone", &NodeConfig::topology_zone,
     "Role network: the node's zone, for topology hints"},
    {"xdp", "--xdp", &NodeConfig::xdp, "Role network: take packets of uplinks at XDP where the driver can"},
    {"nodePortAddresses", "--node-port-addresses", &NodeConfig::node_port_addresses,
     "Role network: answer on node ports at the node's addresses within these CIDRs, or at its \"primary\" ones "
     "(repeatable; default: all)"},
    {"localhostNodePorts", "--localhost-node-ports", &NodeConfig::localhost_node_ports,
     "Role network: node ports answer on 127.0.0.1, too"},
    {"serviceForwarding", "--service-forwarding", &NodeConfig::service_forwarding,
     "Role network: how what comes from outside reaches endpoints of other nodes: snat (the reply comes back through "
     "this node), or dsr (wrapped in Geneve; the other node, which runs this too, answers the client and sees its "
     "address)"},
    {"serviceAlgorithm", "--service-algorithm", &NodeConfig::service_algorithm,
     "Role network: which endpoint a new flow gets: random, or maglev (all nodes choose the same for the same flow)"},
    {"masqueradeAll", "--masquerade-all", &NodeConfig::masquerade_all,
     "Role network: masquerade whatever is sent to a cluster IP"},
    {"serviceMode", "--service-mode", &NodeConfig::service_mode,
     "Role network: route services, or beside another proxy: shadow (fill tables, route nothing, compare), take-over "
     "(route, but leave connections that began before), hand-back (route known flows alone; with the last one "
     "everything is removed, and the daemon ends)"},
    {"handBackTimeout", "--hand-back-timeout", &NodeConfig::hand_back_timeout,
     "Role network: with hand-back, after which time the flows that are still open are cut (default: none is)"},
    {"removeServicesOnExit", "--remove-services-on-exit", &NodeConfig::remove_services_on_exit,
     "Role network: on SIGTERM remove programs and tables; otherwise services go on without the daemon"},
    {"healthzBindAddress", "--healthz-bind-address", &NodeConfig::healthz_bind_address,
     "Role network: where /healthz and /livez are served, as kube-proxy's (empty: nowhere)"},
    {"metricsBindAddress", "--metrics-bind-address", &NodeConfig::metrics_bind_address,
     "Role network: where /metrics, /proxyMode and /configz are served, as kube-proxy's (empty: nowhere)"},
    {"detectLocalMode", "--detect-local-mode", &NodeConfig::detect_local_mode,
     "Role network: what tells pods of this node from others: ClusterCIDR, NodeCIDR, BridgeInterface or "
     "InterfaceNamePrefix (default: every veth is a pod's)"},
    {"clusterCIDR", "--cluster-cidr", &NodeConfig::cluster_cidr,
     "Role network: with ClusterCIDR, the pods' addresses, one CIDR for each family"},
    {"podBridgeInterface", "--pod-bridge-interface", &NodeConfig::pod_bridge_interface,
     "Role network: with BridgeInterface, the bridge whose ports are pods' links"},
    {"podInterfaceNamePrefix", "--pod-interface-name-prefix", &NodeConfig::pod_interface_name_prefix,
     "Role network: with InterfaceNamePrefix, how the names of pods' links begin"},
    {"maxConnections", "--max-connections", &NodeConfig::max_connections,
     "Role network: how many flows the connection table of each family may grow for"},
    {"bpfMemory", "--bpf-memory", &NodeConfig::bpf_memory,
     "Role network: MiB that all BPF maps may take together; they begin small and grow up to it"},
    {"tcpEstablishedTimeout", "--conntrack-tcp-timeout-established", &NodeConfig::tcp_established_timeout,
     "Role network: how long an open TCP connection of a service is known without a packet"},
    {"udpTimeout", "--conntrack-udp-timeout", &NodeConfig::udp_timeout,
     "Role network: the same of a UDP flow that nobody has answered"},
    {"udpStreamTimeout", "--conntrack-udp-timeout-stream", &NodeConfig::udp_stream_timeout,
     "Role network: the same of a UDP flow that was answered"},
    {"bindAddressHardFail", "--bind-address-hard-fail", &NodeConfig::bind_address_hard_fail,
     "Role network: do not start when one of these addresses is taken; otherwise it is tried again"},
};

std::string nearest(const std::string& key) {
  std::vector<std::string_view> keys;
  for (const auto& setting : settings()) {
    keys.emplace_back(setting.key);
  }
  return did_you_mean(key, keys);
}

/// Sets one field; "" or what is wrong with the value.
std::string assign(NodeConfig& config, const Setting& setting, const YAML::Node& value) {
  try {
    if (const auto* text = std::get_if<std::string NodeConfig::*>(&setting.field)) {
      config.*(*text) = value.as<std::string>();
    } else if (const auto* flag = std::get_if<bool NodeConfig::*>(&setting.field)) {
      config.*(*flag) = value.as<bool>();
    } else {
      config.*std::get<std::vector<std::string> NodeConfig::*>(setting.field) = value.as<std::vector<std::string>>();
    }
  } catch (const YAML::Exception&) {
    return setting.field.index() == 0   ? "expected a string"
           : setting.field.index() == 1 ? "expected a list of strings"
                                        : "expected true or false";
  }
  return "";
}

/// The settings of the streaming server that no parser sees.
Result<> check_streaming(const NodeConfig& config) {
  KEELSON_DO(parse_port(config.stream_server_port).context("streamServerPort"));
  KEELSON_TRY(const auto idle, parse_duration(config.stream_idle_timeout).context("streamIdleTimeout"));
  if (idle.count() == 0) {
    return fail(Kind::invalid, "streamIdleTimeout: no session could live with 0");
  }
  if (config.stream_tls_cert_file.empty() != config.stream_tls_key_file.empty()) {
    const bool key = config.stream_tls_key_file.empty();
    return fail(Kind::invalid, "{} needs {} beside it", key ? "streamTLSCertFile" : "streamTLSKeyFile",
                key ? "streamTLSKeyFile" : "streamTLSCertFile");
  }
  return {};
}

/// How pods are told from others.
Result<> check_detect_local(const NodeConfig& config) {
  const auto& mode = config.detect_local_mode;
  const std::tuple<const char*, const char*, bool> needs[] = {
      {"ClusterCIDR", "clusterCIDR", !config.cluster_cidr.empty()},
      {"NodeCIDR", "", true},
      {"BridgeInterface", "podBridgeInterface", !config.pod_bridge_interface.empty()},
      {"InterfaceNamePrefix", "podInterfaceNamePrefix", !config.pod_interface_name_prefix.empty()}};
  for (const auto& [name, key, given] : needs) {
    if (mode == name && !given) {
      return fail(Kind::invalid, "detectLocalMode: {} needs {} beside it", name, key);
    }
  }
  if (!mode.empty() && std::ranges::none_of(needs, [&](const auto& known) { return mode == std::get<0>(known); })) {
    return fail(Kind::invalid,
                "detectLocalMode: '{}' is not one of ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix",
                mode);
  }
  return {};
}

/// Of a flow: the kernel's programs count up to 20 days.
Result<> check_flow_time(const char* key, const std::string& text) {
  KEELSON_TRY(auto duration, parse_duration(text).context("{}", key));
  if (duration < std::chrono::seconds(1) || duration > std::chrono::days(20)) {
    return fail(Kind::invalid, "{}: '{}' is not between 1s and 480h", key, text);
  }
  return {};
}

/// Those of the role network.
Result<> check_network(const NodeConfig& config) {
  KEELSON_DO(check_detect_local(config));
  KEELSON_DO(check_flow_time("tcpEstablishedTimeout", config.tcp_established_timeout));
  KEELSON_DO(check_flow_time("udpTimeout", config.udp_timeout));
  KEELSON_DO(check_flow_time("udpStreamTimeout", config.udp_stream_timeout));
  KEELSON_DO(parse_connections(config.max_connections).context("maxConnections"));
  if (!config.hand_back_timeout.empty()) {
    KEELSON_DO(parse_duration(config.hand_back_timeout).context("handBackTimeout"));
  }
  KEELSON_DO(parse_mebibytes(config.bpf_memory).context("bpfMemory"));
  KEELSON_DO(bind_address(config.healthz_bind_address, kHealthzPort).context("healthzBindAddress"));
  KEELSON_DO(bind_address(config.metrics_bind_address, kMetricsPort).context("metricsBindAddress"));
  return {};
}

Result<uint32_t> parse_number(std::string_view text, uint32_t least, uint32_t most) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most) {
    return fail(Kind::invalid, "'{}' is not a number from {} to {}", text, least, most);
  }
  return number;
}

}  // namespace

Result<std::optional<http::BindAddress>> bind_address(const std::string& text, uint16_t default_port) {
  if (text.empty()) {
    return std::nullopt;
  }
  KEELSON_TRY(auto address, http::BindAddress::parse(text, default_port));
  return address;
}

Result<uint32_t> parse_connections(std::string_view text) {
  return parse_number(text, 1024, 1 << 26);
}

Result<uint64_t> parse_mebibytes(std::string_view text) {
  KEELSON_TRY(const uint64_t mebibytes, parse_number(text, 16, 1 << 20));
  return mebibytes << 20;
}

Result<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(Kind::invalid, "'{}' is not a port from 0 to 65535", text);
  }
  return port;
}

std::span<const Setting> settings() {
  static const auto all = [] {
    std::vector<Setting> list(std::begin(kSettings), std::end(kSettings));
    for (const auto more : {kubelet_api_settings(), cluster_settings(), pod_settings()}) {
      list.insert(list.end(), more.begin(), more.end());
    }
    return list;
  }();
  return all;
}

Result<NodeConfig> parse_config(const std::string& text, const std::string& file, NodeConfig base) {
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& error) {
    return fail(Kind::invalid, "{}:{}: {}", file, error.mark.line + 1, error.msg);
  }
  if (!root.IsMap()) {
    return fail(Kind::invalid, "{}:1: expected a {} object", file, kKind);
  }
  std::string wrong;
  auto complain = [&](const YAML::Node& at, const std::string& what) {
    wrong += fmt::format("{}{}:{}: {}", wrong.empty() ? "" : "\n", file, at.Mark().line + 1, what);
  };
  if (!root["kind"] || root["kind"].Scalar() != kKind || !root["apiVersion"] ||
      root["apiVersion"].Scalar() != kApiVersion) {
    complain(root, fmt::format("expected apiVersion: {} and kind: {}", kApiVersion, kKind));
  }
  for (const auto& entry : root) {
    auto key = entry.first.Scalar();
    if (key == "kind" || key == "apiVersion") {
      continue;
    }
    const auto setting = std::ranges::find_if(settings(), [&](const Setting& s) { return key == s.key; });
    if (setting == settings().end()) {
      complain(entry.first, fmt::format("{}: unknown key{}", key, nearest(key)));
    } else if (auto bad = assign(base, *setting, entry.second); !bad.empty()) {
      complain(entry.first, fmt::format("{}: {}", key, bad));
    }
  }
  if (!wrong.empty()) {
    return std::unexpected(Error(Kind::invalid, wrong));
  }
  return base;
}

std::string format_config(const NodeConfig& config) {
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "apiVersion" << YAML::Value << kApiVersion << YAML::Key << "kind" << YAML::Value
      << kKind;
  for (const auto& setting : settings()) {
    out << YAML::Key << setting.key << YAML::Value;
    if (const auto* text = std::get_if<std::string NodeConfig::*>(&setting.field)) {
      out << config.*(*text);
    } else if (const auto* flag = std::get_if<bool NodeConfig::*>(&setting.field)) {
      out << config.*(*flag);
    } else {
      out << config.*std::get<std::vector<std::string> NodeConfig::*>(setting.field);
    }
  }
  out << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

std::string config_json(const NodeConfig& config) {
  boost::json::object out{{"apiVersion", kApiVersion}, {"kind", kKind}};
  for (const auto& setting : settings()) {
    std::visit([&](auto field) { out[setting.key] = boost::json::value_from(config.*field); }, setting.field);
  }
  return boost::json::serialize(out);
}

Result<> check_config(const NodeConfig& config) {
  for (const auto& role : config.roles) {
    if (role != "agent" && role != "runtime" && role != "network") {
      return fail(Kind::invalid, "roles: '{}' is no role; use any of agent, runtime, network", role);
    }
  }
  if (config.roles.empty()) {
    return fail(Kind::invalid, "roles: at least one of agent, runtime, network");
  }
  for (const auto& setting : settings()) {
    const auto* text = std::get_if<std::string NodeConfig::*>(&setting.field);
    std::string_view key = setting.key;
    bool path = key == "root" || key == "shim" || key.ends_with("Dir") || key.ends_with("File") ||
                key == "cgroupRoot" || key == "socketCgroup" || key == "resolvConf";
    if (text != nullptr && path && !(config.*(*text)).empty() && (config.*(*text)).front() != '/') {
      return fail(Kind::invalid, "{}: '{}' is not an absolute path", setting.key, config.*(*text));
    }
    // mountinfo writes such paths otherwise than they are.
    if (text != nullptr && path && (config.*(*text)).find_first_of(" \t\n\\") != std::string::npos) {
      return fail(Kind::invalid, "{}: '{}' has white space or a backslash in it", setting.key, config.*(*text));
    }
  }
  if (!config.bootstrap_kubeconfig.empty() && config.kubeconfig.empty()) {
    return fail(
        Kind::invalid,
        "bootstrapKubeconfig needs kubeconfig beside it (--bootstrap-kubeconfig, --kubeconfig): the file that is "
        "written with what the cluster has certified, and read from then on");
  }
  if (config.image_credential_provider_config.empty() != config.image_credential_provider_bin_dir.empty()) {
    return fail(Kind::invalid, "imageCredentialProviderConfig and imageCredentialProviderBinDir need each other");
  }
  KEELSON_DO(check_streaming(config));
  KEELSON_DO(check_network(config));
  KEELSON_DO(check_gates(config));
  if (config.cgroup_driver != "cgroupfs" && config.cgroup_driver != "systemd") {
    return fail(Kind::invalid, "cgroupDriver: '{}' is not one of cgroupfs, systemd", config.cgroup_driver);
  }
  static constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warning", "error"};
  if (std::find(kLevels.begin(), kLevels.end(), config.log_level) == kLevels.end()) {
    return fail(Kind::invalid, "logLevel: '{}' is not one of debug, info, warning, error", config.log_level);
  }
  return {};
}

}  // namespace keelson::cli
