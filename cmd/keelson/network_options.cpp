// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/network_options.h"

#include <fmt/format.h>

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

}  // namespace

std::string api_servers_file(const NodeConfig& config) {
  return config.root + "/api-servers.json";
}

Result<network::NetworkOptions> network_options(const NodeConfig& config, const std::string& node_name) {
  network::NetworkOptions options;
  options.manifest_dir = config.manifest_dir;
  if (!config.kubeconfig.empty()) {
    options.api = {.kubeconfig = config.kubeconfig == "in-cluster" ? "" : config.kubeconfig,
                   .node_name = node_name,
                   .all_nodes = config.service_forwarding == "dsr",
                   .servers_file = api_servers_file(config)};
  }
  options.remove_on_exit = config.remove_services_on_exit;
  auto& router = options.router;
  router.node_name = node_name;
  router.bpf_dir = config.bpf_dir;
  router.socket_cgroup = config.socket_cgroup;
  router.links = {config.uplinks, config.xdp};
  router.zone = config.topology_zone;
  router.masquerade_all = config.masquerade_all;
  using dataplane::Algorithm, dataplane::Forwarding;
  KEELSON_TRY(router.forwarding, one_of<Forwarding>("serviceForwarding", config.service_forwarding,
                                                    {{"snat", Forwarding::snat}, {"dsr", Forwarding::dsr}}));
  KEELSON_TRY(router.algorithm, one_of<Algorithm>("serviceAlgorithm", config.service_algorithm,
                                                  {{"random", Algorithm::random}, {"maglev", Algorithm::maglev}}));
  KEELSON_TRY(router.node_ports,
              network::NodePortRules::parse(config.node_port_addresses, config.localhost_node_ports));
  return options;
}

}  // namespace keelson::cli
