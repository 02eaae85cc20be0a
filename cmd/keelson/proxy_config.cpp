// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/proxy_config.h"

#include <fmt/format.h>

#include <algorithm>

#include <yaml-cpp/yaml.h>

#include "cmd/keelson/spelling.h"
#include "common/duration.h"

namespace keelson::cli {
namespace {

constexpr const char* kApiVersion = "kubeproxy.config.k8s.io/v1alpha1";
constexpr const char* kKind = "KubeProxyConfiguration";

enum class Type { text, flag, number, rate, duration, texts, flags };

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

using Apply = void (*)(Reading& reading, const YAML::Node& value);

struct Field {
  const char* name;  ///< "iptables.masqueradeAll"
  Type type;
  Apply apply;      ///< None: means nothing here,
  const char* why;  ///< because.
};

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
    {"clientConnection.kubeconfig", Type::text, &set_text<&NodeConfig::kubeconfig>, ""},
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
     ""},
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
     [](Reading& r, const YAML::Node& v) { r.connections_per_core = v.as<int64_t>(); }, ""},
    {"conntrack.min", Type::number, [](Reading& r, const YAML::Node& v) { r.connections_min = v.as<int64_t>(); }, ""},
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

/// Fields that say something by 0 or false.
bool counts_when_zero(std::string_view name) {
  return name == "iptables.localhostNodePorts" || name == "conntrack.maxPerCore" || name == "conntrack.min";
}

class Parser {
 public:
  Parser(const std::string& file, Reading reading) : file_(file), reading_(std::move(reading)) {}

  void run(const YAML::Node& root) {
    if (!root["kind"] || root["kind"].Scalar() != kKind || !root["apiVersion"] ||
        root["apiVersion"].Scalar() != kApiVersion) {
      complain(root, fmt::format("expected apiVersion: {} and kind: {}", kApiVersion, kKind));
    }
    if (root["mode"] && root["mode"].IsScalar()) {
      reading_.mode = root["mode"].IsNull() ? "" : root["mode"].Scalar();
    }
    walk(root, "");
  }

  const std::string& wrong() const { return wrong_; }
  Reading& reading() { return reading_; }

 private:
  void complain(const YAML::Node& at, const std::string& what) {
    wrong_ += fmt::format("{}{}:{}: {}", wrong_.empty() ? "" : "\n", file_, at.Mark().line + 1, what);
  }

  void walk(const YAML::Node& map, const std::string& prefix) {
    for (const auto& entry : map) {
      auto key = entry.first.Scalar();
      auto name = prefix + key;
      if (prefix.empty() && (key == "kind" || key == "apiVersion")) {
        continue;
      }
      const auto* field =
          std::find_if(std::begin(kFields), std::end(kFields), [&](const Field& known) { return name == known.name; });
      if (field != std::end(kFields)) {
        read(*field, entry.first, entry.second);
      } else if (!is_section(name)) {
        complain(entry.first, fmt::format("{}: unknown key{}", name, nearest(key, prefix)));
      } else if (entry.second.IsMap()) {
        walk(entry.second, name + ".");
      } else if (!entry.second.IsNull()) {
        complain(entry.first, fmt::format("{}: expected an object", name));
      }
    }
  }

  static bool is_section(const std::string& name) {
    return std::ranges::any_of(
        kFields, [&](const Field& known) { return std::string_view(known.name).starts_with(name + "."); });
  }

  static std::string nearest(const std::string& key, const std::string& prefix) {
    std::vector<std::string_view> names;
    for (const auto& known : kFields) {
      std::string_view name = known.name;
      if (name.starts_with(prefix)) {
        names.push_back(name.substr(prefix.size(), name.find('.', prefix.size()) - prefix.size()));
      }
    }
    return did_you_mean(key, names);
  }

  /// "" or what is wrong with the value; `set`: whether it says anything.
  static std::string check(Type type, const YAML::Node& value, bool& set) {
    try {
      switch (type) {
        case Type::text:
          set = value.as<std::string>() != "" && value.as<std::string>() != "0" && value.as<std::string>() != "0s";
          return "";
        case Type::flag:
          set = value.as<bool>();
          return "";
        case Type::number:
          set = value.as<int64_t>() != 0;
          return "";
        case Type::rate:
          set = value.as<double>() != 0;
          return "";
        case Type::duration: {
          auto duration = parse_duration(value.as<std::string>());
          set = duration && duration->count() != 0;
          return duration ? "" : duration.error().message();
        }
        case Type::texts:
          set = !value.as<std::vector<std::string>>().empty();
          return "";
        case Type::flags:
          set = !value.as<std::map<std::string, bool>>().empty();
          return "";
      }
    } catch (const YAML::Exception&) {
      constexpr const char* kExpected[] = {
          "a string",          "true or false",           "a whole number", "a number", "a duration such as 30s",
          "a list of strings", "names with true or false"};
      return fmt::format("expected {}", kExpected[static_cast<int>(type)]);
    }
    return "";
  }

  void read(const Field& field, const YAML::Node& key, const YAML::Node& value) {
    if (value.IsNull()) {
      return;
    }
    bool set = false;
    if (auto bad = check(field.type, value, set); !bad.empty()) {
      complain(key, fmt::format("{}: {}", field.name, bad));
    } else if (field.apply != nullptr && (set || counts_when_zero(field.name))) {
      field.apply(reading_, value);
    } else if (set) {
      reading_.config.notes.push_back(fmt::format("{}: {}: {} is not applied: {}", file_, field.name,
                                                  value.IsScalar() ? value.Scalar() : "...", field.why));
    }
  }

  const std::string& file_;
  Reading reading_;
  std::string wrong_;
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

}  // namespace

Result<NodeConfig> parse_proxy_config(const std::string& text, const std::string& file, NodeConfig base, int cores) {
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& error) {
    return fail(Kind::invalid, "{}:{}: {}", file, error.mark.line + 1, error.msg);
  }
  if (!root.IsMap()) {
    return fail(Kind::invalid, "{}:1: expected a {} object", file, kKind);
  }
  Reading reading;
  reading.config = std::move(base);
  Parser parser(file, std::move(reading));
  parser.run(root);
  if (!parser.wrong().empty()) {
    return std::unexpected(Error(Kind::invalid, parser.wrong()));
  }
  return conclude(std::move(parser.reading()), file, cores);
}

}  // namespace keelson::cli
