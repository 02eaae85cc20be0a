// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/proxy_config.h"

#include <algorithm>

#include "cmd/keelson/component_config.h"

namespace keelson::cli {
namespace {

constexpr const char* kApiVersion = "kubeproxy.config.k8s.io/v1alpha1";
constexpr const char* kKind = "KubeProxyConfiguration";

/// What is read before it becomes settings.
struct Reading {
  NodeConfig config;
  std::string mode;  ///< "" is iptables.
  bool localhost_given = false;
  bool node_ports_given = false;
  std::string bind_address, healthz, metrics;
  std::string detect_local, cluster_cidr;
  std::optional<int64_t> connections_per_core, connections_min;
};

using Type = FieldType;
using Field = ComponentField<Reading>;

constexpr const char* kAtOnce = "changes are written at once, each for itself";
constexpr const char* kNoMark = "packets are not marked";
constexpr const char* kNoIpvs = "there is no IPVS here";
constexpr const char* kWindows = "of Windows";
constexpr const char* kLogs = "use logLevel or --log-level";

bool is_mode(const Reading& reading, std::initializer_list<std::string_view> modes) {
  return std::ranges::find(modes, reading.mode) != modes.end();
}

template <std::string NodeConfig::* field>
void set_text(Reading& reading, const YAML::Node& value) {
  reading.config.*field = value.as<std::string>();
}

void set_host_name(Reading& reading, const YAML::Node& value) {
  auto name = value.as<std::string>();
  name.erase(0, name.find_first_not_of(" \t"));
  name.erase(name.find_last_not_of(" \t") + 1);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  reading.config.node_name = name;
}

const Field kFields[] = {
    {"featureGates", Type::flags, nullptr, "there are none here"},
    {"clientConnection.kubeconfig", Type::text, &set_text<&NodeConfig::network_kubeconfig>, ""},
    {"clientConnection.acceptContentTypes", Type::text, nullptr, "JSON is spoken"},
    {"clientConnection.contentType", Type::text, nullptr, "JSON is spoken"},
    {"clientConnection.qps", Type::rate, nullptr, "there is a request for each watch, and none for each object"},
    {"clientConnection.burst", Type::number, nullptr, "there is a request for each watch, and none for each object"},
    {"logging.format", Type::text, nullptr, kLogs},
    {"logging.flushFrequency", Type::text, nullptr, kLogs},
    {"logging.verbosity", Type::number, nullptr, kLogs},
    {"logging.vmodule", Type::texts, nullptr, kLogs},
    {"logging.options.json.infoBufferSize", Type::text, nullptr, kLogs},
    {"logging.options.json.splitStream", Type::flag, nullptr, kLogs},
    {"logging.options.text.infoBufferSize", Type::text, nullptr, kLogs},
    {"logging.options.text.splitStream", Type::flag, nullptr, kLogs},
    {"hostnameOverride", Type::text, &set_host_name, ""},
    {"bindAddress", Type::text, [](Reading& r, const YAML::Node& v) { r.bind_address = v.as<std::string>(); }, ""},
    {"healthzBindAddress", Type::text, [](Reading& r, const YAML::Node& v) { r.healthz = v.as<std::string>(); }, ""},
    {"metricsBindAddress", Type::text, [](Reading& r, const YAML::Node& v) { r.metrics = v.as<std::string>(); }, ""},
    {"bindAddressHardFail", Type::flag,
     [](Reading& r, const YAML::Node& v) { r.config.bind_address_hard_fail = v.as<bool>(); }, ""},
    {"enableProfiling", Type::flag, nullptr, "profiles are taken from outside, by perf"},
    {"showHiddenMetricsForVersion", Type::text, nullptr, "no metrics are hidden"},
    {"mode", Type::text, nullptr, "services are done by eBPF"},
    {"iptables.masqueradeBit", Type::number, nullptr, kNoMark},
    {"iptables.masqueradeAll", Type::flag,
     [](Reading& r, const YAML::Node& v) {
       r.config.masquerade_all = is_mode(r, {"", "iptables", "ipvs"}) ? v.as<bool>() : r.config.masquerade_all;
     },
     ""},
    {"iptables.localhostNodePorts", Type::flag,
     [](Reading& r, const YAML::Node& v) {
       r.config.localhost_node_ports = v.as<bool>();
       r.localhost_given = is_mode(r, {"", "iptables"});
     },
     "", "", true},
    {"iptables.syncPeriod", Type::duration, nullptr, kAtOnce},
    {"iptables.minSyncPeriod", Type::duration, nullptr, kAtOnce},
    {"ipvs.scheduler", Type::text, nullptr, kNoIpvs},
    {"ipvs.strictARP", Type::flag, nullptr, "service addresses are put on no link"},
    {"ipvs.excludeCIDRs", Type::texts, nullptr, kNoIpvs},
    {"ipvs.tcpTimeout", Type::duration, nullptr, kNoIpvs},
    {"ipvs.tcpFinTimeout", Type::duration, nullptr, kNoIpvs},
    {"ipvs.udpTimeout", Type::duration, nullptr, kNoIpvs},
    {"ipvs.syncPeriod", Type::duration, nullptr, kAtOnce},
    {"ipvs.minSyncPeriod", Type::duration, nullptr, kAtOnce},
    {"nftables.masqueradeBit", Type::number, nullptr, kNoMark},
    {"nftables.masqueradeAll", Type::flag,
     [](Reading& r, const YAML::Node& v) {
       r.config.masquerade_all = is_mode(r, {"nftables"}) ? v.as<bool>() : r.config.masquerade_all;
     },
     ""},
    {"nftables.syncPeriod", Type::duration, nullptr, kAtOnce},
    {"nftables.minSyncPeriod", Type::duration, nullptr, kAtOnce},
    {"winkernel.networkName", Type::text, nullptr, kWindows},
    {"winkernel.sourceVip", Type::text, nullptr, kWindows},
    {"winkernel.enableDSR", Type::flag, nullptr, kWindows},
    {"winkernel.rootHnsEndpointName", Type::text, nullptr, kWindows},
    {"winkernel.forwardHealthCheckVip", Type::flag, nullptr, kWindows},
    {"detectLocalMode", Type::text, [](Reading& r, const YAML::Node& v) { r.detect_local = v.as<std::string>(); }, ""},
    {"detectLocal.bridgeInterface", Type::text, &set_text<&NodeConfig::pod_bridge_interface>, ""},
    {"detectLocal.interfaceNamePrefix", Type::text, &set_text<&NodeConfig::pod_interface_name_prefix>, ""},
    {"clusterCIDR", Type::text, [](Reading& r, const YAML::Node& v) { r.cluster_cidr = v.as<std::string>(); }, ""},
    {"nodePortAddresses", Type::texts,
     [](Reading& r, const YAML::Node& v) {
       r.config.node_port_addresses = v.as<std::vector<std::string>>();
       r.node_ports_given = !r.config.node_port_addresses.empty();
     },
     ""},
    {"oomScoreAdj", Type::number, nullptr, "it is the service manager's, or the pod's"},
    {"conntrack.maxPerCore", Type::number,
     [](Reading& r, const YAML::Node& v) { r.connections_per_core = v.as<int64_t>(); }, "", "", true},
    {"conntrack.min", Type::number, [](Reading& r, const YAML::Node& v) { r.connections_min = v.as<int64_t>(); }, "",
     "", true},
    {"conntrack.tcpEstablishedTimeout", Type::duration, &set_text<&NodeConfig::tcp_established_timeout>, ""},
    {"conntrack.tcpCloseWaitTimeout", Type::duration, nullptr,
     "a closing connection is known for 2 minutes after its last packet"},
    {"conntrack.tcpBeLiberal", Type::flag, nullptr,
     "TCP windows are not watched, no packet is invalid for its numbers"},
    {"conntrack.udpTimeout", Type::duration, &set_text<&NodeConfig::udp_timeout>, ""},
    {"conntrack.udpStreamTimeout", Type::duration, &set_text<&NodeConfig::udp_stream_timeout>, ""},
    {"configSyncPeriod", Type::duration, nullptr, "objects are watched, and listed again only when a watch breaks"},
    {"portRange", Type::text, nullptr, "kube-proxy does not use it either"},
    {"windowsRunAsService", Type::flag, nullptr, kWindows},
};

/// What kube-proxy does with the whole of it: pkg/proxy/apis/config/v1alpha1/defaults.go and each mode's own ways.
NodeConfig conclude(Reading reading, const std::string& file, int cores) {
  auto& config = reading.config;
  const bool six = reading.bind_address.contains(':');
  config.healthz_bind_address = !reading.healthz.empty() ? reading.healthz : six ? "[::]:10256" : "0.0.0.0:10256";
  config.metrics_bind_address = !reading.metrics.empty() ? reading.metrics : six ? "[::1]:10249" : "127.0.0.1:10249";
  if (!is_mode(reading, {"", "iptables"})) {
    config.localhost_node_ports = false;  // only iptables has it
  }
  if (is_mode(reading, {"nftables"}) && !reading.node_ports_given) {
    config.node_port_addresses = {"primary"};
  }
  config.detect_local_mode = reading.detect_local;
  if (reading.detect_local.empty() || reading.detect_local == "ClusterCIDR") {
    config.detect_local_mode = reading.cluster_cidr.empty() ? "" : "ClusterCIDR";
    for (size_t at = 0; at < reading.cluster_cidr.size();) {
      auto end = std::min(reading.cluster_cidr.find(',', at), reading.cluster_cidr.size());
      config.cluster_cidr.push_back(reading.cluster_cidr.substr(at, end - at));
      at = end + 1;
    }
  }
  if (!reading.detect_local.empty() && config.detect_local_mode.empty()) {
    config.notes.push_back(file + ": detectLocalMode: ClusterCIDR without clusterCIDR: pods are told by their links");
  }
  if (reading.connections_per_core != 0) {
    const auto wanted = std::max(reading.connections_min.value_or(128 << 10),
                                 reading.connections_per_core.value_or(32 << 10) * int64_t{cores});
    config.max_connections = std::to_string(std::clamp<int64_t>(wanted, 1024, 1 << 26));
  }
  return std::move(config);
}

/// Other fields mean something in some modes alone; so it is wanted first.
std::string mode_of(const std::string& text) {
  try {
    const YAML::Node root = YAML::Load(text);
    return root.IsMap() && root["mode"] && root["mode"].IsScalar() ? root["mode"].Scalar() : "";
  } catch (const YAML::Exception&) {
    return "";  // said by who reads all of it
  }
}

}  // namespace

Result<NodeConfig> parse_proxy_config(const std::string& text, const std::string& file, NodeConfig base, int cores) {
  Reading reading;
  reading.config = std::move(base);
  reading.mode = mode_of(text);
  std::vector<std::string> notes;
  KEELSON_DO(read_component<Reading>(text, {kApiVersion, kKind, file}, kFields, reading, notes));
  reading.config.notes.insert(reading.config.notes.end(), notes.begin(), notes.end());
  return conclude(std::move(reading), file, cores);
}

}  // namespace keelson::cli
