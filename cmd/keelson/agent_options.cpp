// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/agent_options.h"

#include <cstdlib>
#include <set>

#include "agent/config/credential_config.h"
#include "cmd/keelson/feature_gates.h"
#include "cmd/keelson/network_options.h"
#include "cmd/keelson/node.h"

namespace keelson::cli {

namespace {

/// Loopback of each of the node's families, for pods of a node that names no name servers.
std::vector<std::string> loopbacks(const std::vector<std::string>& addresses) {
  std::vector<std::string> all;
  for (const auto& address : addresses) {
    all.emplace_back(address.contains(':') ? "::1" : "127.0.0.1");
  }
  return all;
}

}  // namespace

agent::PodConfigOptions pod_config_options(const NodeConfig& config, const LocalNode& node,
                                           std::shared_ptr<agent::VolumeStats> stats) {
  agent::PodConfigOptions options;
  options.volume_stats = std::move(stats);
  options.root = config.root;
  const char* home = ::getenv("HOME");
  options.login_files = agent::login_files(config.root, home != nullptr ? home : "/root");
  options.pod_logs_dir = config.pod_logs_dir;
  options.container_logs_dir = config.container_logs_dir;
  options.cgroup_root = config.cgroup_root;
  options.systemd_cgroups = driver_of(config) == cgroup::Driver::systemd;
  options.resolv_conf = config.resolv_conf;
  options.dns = {.servers = config.cluster_dns,
                 .domain = config.cluster_domain,
                 .loopback = config.resolv_conf.empty() ? loopbacks(node.addresses) : std::vector<std::string>()};
  options.ids_per_pod = node.pods.ids;
  options.pod_pids_limit = node.pods.pids_limit;
  options.quotas = node.pods.times.quotas;
  options.memory_rules = node.pods.memory_rules;
  options.seccomp_default = config.seccomp_default;
  options.node.name = node_name(config);
  options.node.ips = node.addresses;
  const auto amount = [&node](const char* name) {
    const auto found = node.allocatable.find(name);
    return found != node.allocatable.end() ? found->second : kube::Quantity();
  };
  options.node.allocatable_cpu_milli = amount("cpu").milli();
  options.node.allocatable_memory = amount("memory").whole();
  options.node.allocatable_storage = amount("ephemeral-storage").whole();
  return options;
}

storage::StorageOptions storage_options(const NodeConfig& config, agent::NodeBoard& board,
                                        decltype(storage::StorageOptions::record) record,
                                        std::shared_ptr<agent::VolumeStats> stats) {
  return {.root = config.root,
          .node_name = node_name(config),
          .volume_health = gate(config, kVolumeHealth, false),
          .in_use = [&board](std::set<std::string> volumes) { board.tell_volumes(std::move(volumes)); },
          .record = std::move(record),
          .volume_stats = std::move(stats)};
}

agent::UsageOptions usage_options(const NodeConfig& config) {
  return {.node_name = node_name(config),
          .root = config.root,
          .driver = driver_of(config),
          .cgroup_root = config.cgroup_root};
}

agent::AgentOptions agent_options(const NodeConfig& config, const LocalNode& node, bool in_cluster) {
  agent::AgentOptions options;
  options.manifest_dir = in_cluster ? "" : config.manifest_dir;
  options.node_name = node_name(config);
  options.node.ips = node.addresses;
  options.times = node.pods.times;
  options.probe_folder = config.run + "/probes";
  return options;
}

agent::ClusterOptions cluster_options(const NodeConfig& config, const LocalNode& node) {
  return {.node_name = node_name(config),
          .manifest_dir = config.manifest_dir,
          .allocatable = node.allocatable,
          .labels = node.labels,
          .sysctls = node.pods.sysctls,
          .static_cpus = config.cpu_manager_policy == "static",
          .limits_swap = agent::read_node_cgroups({}, node.pods.memory_rules).limits_swap(),
          .requests = node.pods.requests,
          .events = node.pods.events};
}

}  // namespace keelson::cli
