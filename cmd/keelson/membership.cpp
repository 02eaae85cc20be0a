// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/membership.h"

#include <algorithm>

#include "agent/node/machine.h"
#include "agent/node/node_addresses.h"
#include "agent/node/node_labels.h"
#include "cmd/keelson/network_options.h"
#include "cmd/keelson/node.h"
#include "cmd/keelson/setting_values.h"
#include "common/cpu_set.h"
#include "common/host_addresses.h"
#include "common/log.h"
#include "kube/client/known_servers.h"

namespace keelson::cli {

namespace {

/// The stock kubelet whose behaviour towards the API server is ours. Version skew rules, kubectl and Cluster API read
/// it as a version of Kubernetes; who we are stands behind the plus, where a semantic version has its build, as k3s
/// does.
constexpr const char* kKubeletVersion = "v1.34.4+keelson." KEELSON_VERSION;

/// Of one family: the default route's, or else any; empty: none.
std::string own_address(bool six) {
  auto address = address_of_default_route(six);
  if (address.empty()) {
    const auto all = host_addresses();
    const auto found =
        std::ranges::find_if(all, [&](const auto& one) { return (one.find(':') != std::string::npos) == six; });
    address = found != all.end() ? *found : "";
  }
  return address;
}

/// Before the API has a Node: without a name server, which may take its time. Empty, in a cluster alone: none is found
/// yet.
Result<std::vector<std::string>> first_addresses(const NodeConfig& config) {
  KEELSON_DO(agent::check_node_ips(config.node_ip).context("nodeIP"));
  auto found = agent::node_addresses({.node_name = node_name(config), .given = config.node_ip},
                                     {.look_up = [](const std::string&) { return std::vector<std::string>(); },
                                      .own = [] { return own_addresses(); },
                                      .of_default_route = address_of_default_route});
  if (!found && config.kubeconfig.empty()) {
    return std::unexpected(std::move(found).error().with_context("nodeIP"));
  }
  return std::move(found).value_or(std::vector<std::string>());
}

/// Alone: one of each family, as a pod's status shows them.
std::vector<std::string> lone_addresses() {
  std::vector<std::string> addresses;
  for (const bool six : {false, true}) {
    if (auto address = own_address(six); !address.empty()) {
      addresses.push_back(std::move(address));
    }
  }
  return addresses;
}

Result<agent::PodLimits> pod_limits(const NodeConfig& config) {
  agent::PodLimits limits;
  KEELSON_TRY(limits.max_pods, parse_count("maxPods", config.max_pods, 1, 1 << 20));
  KEELSON_TRY(limits.pods_per_core, parse_count("podsPerCore", config.pods_per_core, 0, 1 << 20));
  return limits;
}

Result<agent::Reservation> reservation(const NodeConfig& config) {
  agent::Reservation reserved;
  KEELSON_TRY(reserved.system, agent::parse_reservation(config.system_reserved).context("systemReserved"));
  KEELSON_TRY(reserved.kube, agent::parse_reservation(config.kube_reserved).context("kubeReserved"));
  KEELSON_TRY(const auto cpus, CpuSet::parse(config.reserved_system_cpus).context("reservedSystemCPUs"));
  reserved.reserved_cpus = cpus.size();
  KEELSON_TRY(reserved.eviction_hard, agent::parse_thresholds(config.eviction_hard).context("evictionHard"));
  return reserved;
}

Result<agent::NodeSettings> node_settings(const NodeConfig& config) {
  agent::NodeSettings settings;
  settings.name = node_name(config);
  KEELSON_TRY(settings.labels, agent::parse_node_labels(config.node_labels).context("nodeLabels"));
  KEELSON_TRY(settings.taints, agent::parse_taints(config.register_with_taints).context("registerWithTaints"));
  settings.provider_id = config.provider_id;
  if (!config.cloud_provider.empty() && config.cloud_provider != "external") {
    return fail(Kind::invalid, "cloudProvider: '{}' is neither empty nor external", config.cloud_provider);
  }
  settings.external_cloud = config.cloud_provider == "external";
  settings.node_ip = config.node_ip;
  KEELSON_TRY(settings.pods, pod_limits(config));
  KEELSON_TRY(settings.reservation, reservation(config));
  KEELSON_TRY(settings.max_images, parse_count("nodeStatusMaxImages", config.node_status_max_images, -1, 1 << 20));
  settings.kubelet_version = kKubeletVersion;
  return settings;
}

}  // namespace

std::string cert_dir(const NodeConfig& config) {
  return config.cert_dir.empty() ? config.root + "/pki" : config.cert_dir;
}

std::string kubernetes_version() {
  const std::string version = kKubeletVersion;
  return version.substr(0, version.find('+'));
}

std::string rotated_certificate(const NodeConfig& config) {
  const bool rotated = config.rotate_certificates || !config.bootstrap_kubeconfig.empty();
  return rotated ? agent::client_certificate_file(cert_dir(config)) : "";
}

Result<LocalNode> local_node(const NodeConfig& config) {
  LocalNode node;
  if (config.kubeconfig.empty() && config.node_ip.empty()) {
    node.addresses = lone_addresses();
    if (node.addresses.empty()) {
      node.addresses = {"127.0.0.1"};
    }
  } else {
    KEELSON_TRY(node.addresses, first_addresses(config));
  }
  KEELSON_TRY(node.labels, agent::parse_node_labels(config.node_labels).context("nodeLabels"));
  KEELSON_TRY(node.pods, pod_options(config));
  KEELSON_TRY(const auto limits, pod_limits(config));
  KEELSON_TRY(const auto reserved, reservation(config));
  const auto machine = agent::read_machine("", config.root);
  const auto capacity = agent::node_capacity(machine, limits);
  node.allocatable = agent::node_allocatable(capacity, reserved);
  node.capacity = capacity;
  if (machine.processes > 0) {
    node.capacity["pid"] = kube::Quantity::of(machine.processes);
  }
  node.enforced = agent::node_enforced(node.capacity, reserved);
  node.reserved_for_system = agent::amounts_of(reserved.system, node.capacity);
  node.reserved_for_kube = agent::amounts_of(reserved.kube, node.capacity);
  for (const auto* list : {&reserved.system, &reserved.kube}) {
    const auto memory = capacity.find("memory");
    if (const auto found = list->find("memory"); found != list->end() && memory != capacity.end()) {
      node.reserved_memory += found->second.of(memory->second).whole();
    }
  }
  return node;
}

Result<agent::HeartbeatOptions> heartbeat_options(const NodeConfig& config) {
  agent::HeartbeatOptions options;
  options.kubeconfig = config.kubeconfig;
  if (auto servers = kube::KnownServers(api_servers_file(config)).load(); servers) {
    options.other_servers = *std::move(servers);
  } else {
    log::warning("{}", servers.error().message());
  }
  options.certificates = {.cert_dir = cert_dir(config),
                          .bootstrap_kubeconfig = config.bootstrap_kubeconfig,
                          .rotate_client = config.rotate_certificates,
                          .order_serving = config.server_tls_bootstrap};
  options.runtime_socket = cri_socket(config);
  options.image_socket = config.image_socket;
  options.state_dir = config.root;
  KEELSON_TRY(const auto lease, parse_count("nodeLeaseDurationSeconds", config.node_lease_duration_seconds, 4, 3600));
  options.lease_duration = std::chrono::seconds(lease);
  auto& registrar = options.registrar;
  KEELSON_TRY(registrar.settings, node_settings(config));
  registrar.register_node = config.register_node;
  KEELSON_TRY(registrar.update_frequency,
              parse_period("nodeStatusUpdateFrequency", config.node_status_update_frequency));
  KEELSON_TRY(registrar.report_frequency,
              parse_period("nodeStatusReportFrequency", config.node_status_report_frequency));
  KEELSON_TRY(registrar.pressure_transition,
              parse_duration(config.eviction_pressure_transition_period).context("evictionPressureTransitionPeriod"));
  return options;
}

}  // namespace keelson::cli
