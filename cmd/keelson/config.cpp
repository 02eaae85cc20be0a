// SPDX-License-Identifier: Apache-2.0
// The table of settings, and the file that fills it.
#include "cmd/keelson/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

#include <yaml-cpp/yaml.h>

#include "common/duration.h"

namespace keelson::cli {

namespace {

constexpr const char* kApiVersion = "node.keelson.dev/v1alpha1";
constexpr const char* kKind = "KeelsonConfiguration";

const Setting kSettings[] = {
    {"roles", "--roles", &NodeConfig::roles, "What this daemon is: any of agent, runtime, network"},
    {"root", "--root", &NodeConfig::root, "State that survives a reboot"},
    {"manifestDir", "--manifests", &NodeConfig::manifest_dir,
     "Folder of Pods, ConfigMaps, Secrets, Services and EndpointSlices, YAML or JSON; watched"},
    {"kubeconfig", "--kubeconfig", &NodeConfig::kubeconfig,
     "Role network: take Services, EndpointSlices and Nodes from this cluster instead of the folder (\"in-cluster\": "
     "by the pod's service account)"},
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
    {"removeServicesOnExit", "--remove-services-on-exit", &NodeConfig::remove_services_on_exit,
     "Role network: on SIGTERM remove programs and tables; otherwise services go on without the daemon"},
};

/// Edit distance, for "did you mean".
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string nearest(const std::string& key) {
  const auto* best =
      std::min_element(std::begin(kSettings), std::end(kSettings),
                       [&](const Setting& a, const Setting& b) { return distance(key, a.key) < distance(key, b.key); });
  return distance(key, best->key) <= 4 ? fmt::format("; did you mean {}?", best->key) : "";
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

}  // namespace

Result<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(Kind::invalid, "'{}' is not a port from 0 to 65535", text);
  }
  return port;
}

std::span<const Setting> settings() {
  return kSettings;
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
    const auto* setting =
        std::find_if(std::begin(kSettings), std::end(kSettings), [&](const Setting& s) { return key == s.key; });
    if (setting == std::end(kSettings)) {
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
  for (const auto& setting : kSettings) {
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

Result<> check_config(const NodeConfig& config) {
  for (const auto& role : config.roles) {
    if (role != "agent" && role != "runtime" && role != "network") {
      return fail(Kind::invalid, "roles: '{}' is no role; use any of agent, runtime, network", role);
    }
  }
  if (config.roles.empty()) {
    return fail(Kind::invalid, "roles: at least one of agent, runtime, network");
  }
  for (const auto& setting : kSettings) {
    const auto* text = std::get_if<std::string NodeConfig::*>(&setting.field);
    std::string_view key = setting.key;
    bool path = key == "root" || key == "shim" || key.ends_with("Dir") || key.ends_with("File") ||
                key == "cgroupRoot" || key == "socketCgroup";
    if (text != nullptr && path && !(config.*(*text)).empty() && (config.*(*text)).front() != '/') {
      return fail(Kind::invalid, "{}: '{}' is not an absolute path", setting.key, config.*(*text));
    }
    // mountinfo writes such paths otherwise than they are.
    if (text != nullptr && path && (config.*(*text)).find_first_of(" \t\n\\") != std::string::npos) {
      return fail(Kind::invalid, "{}: '{}' has white space or a backslash in it", setting.key, config.*(*text));
    }
  }
  KEELSON_DO(check_streaming(config));
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
