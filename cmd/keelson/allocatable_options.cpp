// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/allocatable_options.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "agent/config/resources.h"

namespace keelson::cli {

namespace {

constexpr const char* kKey = "enforceNodeAllocatable";
constexpr const char* kCompressible = "-compressible";

/// Whose daemons, and what is reserved for them.
struct Daemons {
  const char* name;  ///< "system-reserved"
  const char* what;  ///< For events.
  const char* cgroup_key;
  const std::string& cgroup;
  const kube::ResourceList& reserved;
};

Result<> add(const Daemons& daemons, const std::vector<std::string>& wanted, agent::NodeLimits& limits) {
  const bool whole = std::ranges::find(wanted, daemons.name) != wanted.end();
  const bool compressible = std::ranges::find(wanted, std::string(daemons.name) + kCompressible) != wanted.end();
  if (!whole && !compressible) {
    return {};
  }
  if (whole && compressible) {
    return fail(Kind::invalid, "{}: one of {} and {}{}, not both", kKey, daemons.name, daemons.name, kCompressible);
  }
  if (daemons.cgroup.empty()) {
    return fail(Kind::invalid, "{}: {} needs {} beside it", kKey, daemons.name, daemons.cgroup_key);
  }
  limits.others.push_back({.what = std::string(daemons.what) + (compressible ? " Compressible" : ""),
                           .cgroup = daemons.cgroup,
                           .limits = agent::limits_of(daemons.reserved, compressible)});
  return {};
}

Result<> check_names(const std::vector<std::string>& wanted) {
  static constexpr const char* kKnown[] = {
      "pods", "system-reserved", "system-reserved-compressible", "kube-reserved", "kube-reserved-compressible", "none"};
  for (const auto& name : wanted) {
    if (std::ranges::find(kKnown, name) == std::end(kKnown)) {
      return fail(Kind::invalid, "{}: '{}' is not one of {}", kKey, name, fmt::join(kKnown, ", "));
    }
    if (std::ranges::count(wanted, name) > 1) {
      return fail(Kind::invalid, "{}: {} is given twice", kKey, name);
    }
    if (name == "none" && wanted.size() > 1) {
      return fail(Kind::invalid, "{}: none, or others, not both", kKey);
    }
  }
  return {};
}

/// As the kubelet refuses, before pods find a node of nothing.
Result<> check_reservations(const LocalNode& node, bool cpus_by_number) {
  for (const auto& [name, capacity] : node.capacity) {
    kube::Quantity sum;
    for (const auto* list : {&node.reserved_for_system, &node.reserved_for_kube}) {
      if (const auto found = list->find(name); found != list->end() && !(cpus_by_number && name == "cpu")) {
        sum += found->second;
      }
    }
    if (sum > capacity) {
      return fail(Kind::invalid,
                  "systemReserved, kubeReserved: resource \"{}\" has a reservation of {} but capacity of {}", name,
                  sum.to_string(), capacity.to_string());
    }
  }
  return {};
}

}  // namespace

Result<agent::NodeLimits> node_limits(const NodeConfig& config, const LocalNode& node) {
  const auto& wanted = config.enforce_node_allocatable;
  KEELSON_DO(check_names(wanted));
  KEELSON_DO(check_reservations(node, !config.reserved_system_cpus.empty()));
  if (!config.reserved_system_cpus.empty() &&
      !(config.system_reserved_cgroup.empty() && config.kube_reserved_cgroup.empty())) {
    return fail(Kind::invalid, "reservedSystemCPUs: not beside systemReservedCgroup or kubeReservedCgroup");
  }
  agent::NodeLimits limits;
  const bool pods = std::ranges::find(wanted, "pods") != wanted.end();
  limits.pods = agent::limits_of(pods ? node.enforced : node.capacity);
  KEELSON_DO(add({.name = "system-reserved",
                  .what = "System Reserved",
                  .cgroup_key = "systemReservedCgroup",
                  .cgroup = config.system_reserved_cgroup,
                  .reserved = node.reserved_for_system},
                 wanted, limits));
  KEELSON_DO(add({.name = "kube-reserved",
                  .what = "Kube Reserved",
                  .cgroup_key = "kubeReservedCgroup",
                  .cgroup = config.kube_reserved_cgroup,
                  .reserved = node.reserved_for_kube},
                 wanted, limits));
  return limits;
}

}  // namespace keelson::cli
