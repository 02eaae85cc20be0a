// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/network_options.h"

namespace keelson::cli {

Result<network::NetworkOptions> network_options(const NodeConfig& config, const std::string& node_name) {
  network::NetworkOptions options;
  options.manifest_dir = config.manifest_dir;
  if (!config.kubeconfig.empty()) {
    options.api = {.kubeconfig = config.kubeconfig == "in-cluster" ? "" : config.kubeconfig,
                   .node_name = node_name,
                   .servers_file = config.root + "/api-servers"};
  }
  options.remove_on_exit = config.remove_services_on_exit;
  auto& router = options.router;
  router.node_name = node_name;
  router.bpf_dir = config.bpf_dir;
  router.socket_cgroup = config.socket_cgroup;
  router.links = {config.uplinks, config.xdp};
  router.zone = config.topology_zone;
  router.masquerade_all = config.masquerade_all;
  KEELSON_TRY(router.node_ports,
              network::NodePortRules::parse(config.node_port_addresses, config.localhost_node_ports));
  return options;
}

}  // namespace keelson::cli
