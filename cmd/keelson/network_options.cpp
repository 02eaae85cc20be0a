// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/network_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "common/duration.h"

namespace keelson::cli {
namespace {

/// The value whose name `text` is. Kind::invalid names `key` and all that it may be.
template <class T>
Result<T> one_of(std::string_view key, const std::string& text, std::initializer_list<std::pair<const char*, T>> all) {
  std::string names;
  for (const auto& [name, value] : all) {
    if (text == name) {
      return value;
    }
    names += names.empty() ? name : fmt::format(", {}", name);
  }
  return fail(Kind::invalid, "{}: '{}' is not one of {}", key, text, names);
}

/// What tells pods of this node from others.
Result<> detect_local(const NodeConfig& config, network::RouterOptions& router) {
  const auto& mode = config.detect_local_mode;
  if (mode == "ClusterCIDR") {
    for (const auto& text : config.cluster_cidr) {
      auto prefix = dataplane::Prefix::parse(text);
      if (!prefix) {
        return fail(Kind::invalid, "clusterCIDR: \"{}\" is no CIDR such as 10.0.0.0/8", text);
      }
      router.local_sources.push_back(*prefix);
    }
  }
  router.node_cidrs = mode == "NodeCIDR";
  router.links.pod_bridge = mode == "BridgeInterface" ? config.pod_bridge_interface : "";
  router.links.pod_prefix = mode == "InterfaceNamePrefix" ? config.pod_interface_name_prefix : "";
  return {};
}

Result<> flow_table(const NodeConfig& config, network::RouterOptions& router) {
  KEELSON_TRY(router.flow_times.tcp_established, parse_duration(config.tcp_established_timeout));
  KEELSON_TRY(router.flow_times.udp, parse_duration(config.udp_timeout));
  KEELSON_TRY(router.flow_times.udp_stream, parse_duration(config.udp_stream_timeout));
  KEELSON_TRY(const auto connections, parse_connections(config.max_connections));
  router.map_budget.connection_rows = 2 * connections;
  KEELSON_TRY(router.map_budget.bytes, parse_mebibytes(config.bpf_memory));
  return {};
}

}  // namespace

std::string network_kubeconfig(const NodeConfig& config) {
  return config.network_kubeconfig.empty() ? config.kubeconfig : config.network_kubeconfig;
}

std::string node_name(const NodeConfig& config) {
  char host[256] = "";
  if (config.node_name.empty()) {
    ::gethostname(host, sizeof host - 1);
  }
  std::string name = config.node_name.empty() ? host : config.node_name;
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

std::string api_servers_file(const NodeConfig& config) {
  return config.root + "/api-servers.json";
}

Result<network::NetworkOptions> network_options(const NodeConfig& config, const std::string& node_name) {
  network::NetworkOptions options;
  options.manifest_dir = config.manifest_dir;
  if (const auto kubeconfig = network_kubeconfig(config); !kubeconfig.empty()) {
    options.api = {.kubeconfig = kubeconfig == "in-cluster" ? "" : kubeconfig,
                   .node_name = node_name,
                   .all_nodes = config.service_forwarding == "dsr",
                   .servers_file = api_servers_file(config)};
  }
  options.admin_socket = config.run + "/network.sock";
  options.remove_on_exit = config.remove_services_on_exit;
  auto& router = options.router;
  router.node_name = node_name;
  router.bpf_dir = config.bpf_dir;
  router.socket_cgroup = config.socket_cgroup;
  router.links.uplinks = config.uplinks;
  router.links.xdp = config.xdp;
  KEELSON_DO(detect_local(config, router));
  KEELSON_DO(flow_table(config, router));
  router.zone = config.topology_zone;
  router.masquerade_all = config.masquerade_all;
  using dataplane::Algorithm, dataplane::Forwarding;
  KEELSON_TRY(router.forwarding, one_of<Forwarding>("serviceForwarding", config.service_forwarding,
                                                    {{"snat", Forwarding::snat}, {"dsr", Forwarding::dsr}}));
  KEELSON_TRY(router.algorithm, one_of<Algorithm>("serviceAlgorithm", config.service_algorithm,
                                                  {{"random", Algorithm::random}, {"maglev", Algorithm::maglev}}));
  using network::ServiceMode;
  KEELSON_TRY(router.mode, one_of<ServiceMode>("serviceMode", config.service_mode,
                                               {{"route", ServiceMode::route},
                                                {"shadow", ServiceMode::shadow},
                                                {"take-over", ServiceMode::take_over},
                                                {"hand-back", ServiceMode::hand_back}}));
  if (!config.hand_back_timeout.empty()) {
    KEELSON_TRY(options.hand_back_limit, parse_duration(config.hand_back_timeout));
  }
  KEELSON_TRY(router.node_ports,
              network::NodePortRules::parse(config.node_port_addresses, config.localhost_node_ports));
  auto& servers = options.servers;
  KEELSON_TRY(servers.healthz, bind_address(config.healthz_bind_address, kHealthzPort));
  KEELSON_TRY(servers.metrics, bind_address(config.metrics_bind_address, kMetricsPort));
  servers.bind_hard_fail = config.bind_address_hard_fail;
  servers.configz = "{\"node.keelson.dev\":" + config_json(config) + "}";
  return options;
}

}  // namespace keelson::cli
