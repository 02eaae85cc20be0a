// SPDX-License-Identifier: Apache-2.0
// The kubelet's checks, in its order and words.
#include "agent/cluster/admission.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "agent/critical_pod.h"
#include "kube/pod_qos.h"
#include "kube/resource_names.h"

namespace keelson::agent {

namespace {

/// The first that is lacking is told, all of them are counted.
void add_lack(std::optional<Rejection>& rejection, const std::string& resource, int64_t requested, int64_t used,
              int64_t capacity) {
  if (!rejection) {
    rejection.emplace("OutOf" + resource,
                      fmt::format("Node didn't have enough resource: {}, requested: {}, used: {}, capacity: {}",
                                  resource, requested, used, capacity));
  }
  // A pod may ask for as much as there are numbers.
  const int64_t over = used - capacity;
  const int64_t most = std::numeric_limits<int64_t>::max();
  rejection->shortage[resource] = over > most - requested ? most : requested + over;
}

Rejection fails(const std::string& predicate, std::string_view why) {
  return {predicate, fmt::format("Predicate {} failed: {}", predicate, why)};
}

std::optional<Rejection> check_resources(const kube::Pod& pod, const std::vector<const kube::Pod*>& others,
                                         const AdmissionNode& node) {
  std::optional<Rejection> rejection;
  if (auto pods = node.allocatable.find("pods");
      pods != node.allocatable.end() && std::ssize(others) + 1 > pods->second.whole()) {
    add_lack(rejection, "pods", 1, std::ssize(others), pods->second.whole());
  }
  const auto wanted = kube::pod_requests(pod);
  kube::ResourceList used;
  for (const kube::Pod* other : others) {
    for (const auto& [resource, quantity] : kube::pod_requests(*other)) {
      used[resource] += quantity;
    }
  }
  for (const auto& [resource, quantity] : wanted) {
    const auto there = node.allocatable.find(resource);
    const bool known = there != node.allocatable.end();
    // An extended resource that the node knows nothing of is the cluster's, and a native one not counted.
    const bool counted = known || resource.starts_with("hugepages-") ||
                         (resource.find('/') != std::string::npos && !kube::is_extended_resource(resource));
    if (quantity.zero() || !counted || node.allotted.contains(resource)) {
      continue;
    }
    const auto capacity = known ? there->second : kube::Quantity();
    const auto taken = used[resource];
    if (taken + quantity > capacity) {
      add_lack(rejection, resource, amount(resource, quantity), amount(resource, taken), amount(resource, capacity));
    }
  }
  return rejection;
}

/// Of a pod, or one of its containers, that is to be confined (kubelet pkg/security/apparmor).
bool wants_apparmor(const kube::Pod& pod) {
  const auto confines = [](const std::optional<kube::SecurityProfile>& profile) {
    return profile && profile->type != kube::ProfileType::unconfined;
  };
  const auto of_container = [&](const kube::Container& container) {
    return container.security_context && confines(container.security_context->app_armor_profile);
  };
  return confines(pod.spec.security_context.app_armor_profile) ||
         std::ranges::any_of(pod.spec.containers, of_container) ||
         std::ranges::any_of(pod.spec.init_containers, of_container);
}

struct HostPort {
  int32_t port = 0;
  kube::Protocol protocol = kube::Protocol::tcp;
  std::string ip;
};

std::vector<HostPort> host_ports(const kube::Pod& pod) {
  std::vector<HostPort> ports;
  const auto add = [&](const kube::Container& container) {
    for (const auto& port : container.ports) {
      if (port.host_port > 0) {
        ports.push_back({port.host_port, port.protocol, port.host_ip.empty() ? "0.0.0.0" : port.host_ip});
      }
    }
  };
  std::ranges::for_each(pod.spec.containers, add);
  for (const auto& container : pod.spec.init_containers) {
    if (container.is_sidecar()) {
      add(container);
    }
  }
  return ports;
}

bool collide(const HostPort& a, const HostPort& b) {
  return a.port == b.port && a.protocol == b.protocol && (a.ip == b.ip || a.ip == "0.0.0.0" || b.ip == "0.0.0.0");
}

bool ports_are_free(const kube::Pod& pod, const std::vector<const kube::Pod*>& others) {
  const auto wanted = host_ports(pod);
  return wanted.empty() || std::ranges::none_of(others, [&](const kube::Pod* other) {
           const auto taken = host_ports(*other);
           return std::ranges::any_of(wanted, [&](const HostPort& port) {
             return std::ranges::any_of(taken, [&](const HostPort& other_port) { return collide(port, other_port); });
           });
         });
}

std::optional<Rejection> check_os(const kube::Pod& pod, const AdmissionNode& node) {
  if (pod.spec.os_name && *pod.spec.os_name != "linux") {
    return Rejection{"PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"};
  }
  const auto wanted = pod.spec.node_selector.find("kubernetes.io/os");
  const auto has = node.labels.find("kubernetes.io/os");
  if (wanted != pod.spec.node_selector.end() && wanted->second != (has == node.labels.end() ? "linux" : has->second)) {
    return Rejection{"PodOSSelectorNodeLabelDoesNotMatch",
                     "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"};
  }
  return std::nullopt;
}

/// The kubelet's eviction manager as an admission handler: what is short already gets no more pods that may be evicted.
std::optional<Rejection> check_pressures(const kube::Pod& pod, const AdmissionNode& node) {
  const Pressures& pressed = node.pressures;
  if (pressed == Pressures{} || is_critical(pod)) {
    return std::nullopt;
  }
  if (!pressed.disk && !pressed.pid &&
      (kube::qos_class(pod) != kube::QosClass::best_effort ||
       tolerates(pod, {.key = "node.kubernetes.io/memory-pressure", .value = "", .effect = "NoSchedule"}))) {
    return std::nullopt;
  }
  std::vector<std::string_view> conditions;
  for (const auto& [holds, name] : {std::pair(pressed.memory, "MemoryPressure"),
                                    std::pair(pressed.disk, "DiskPressure"), std::pair(pressed.pid, "PIDPressure")}) {
    if (holds) {
      conditions.emplace_back(name);
    }
  }
  return Rejection{"Evicted", fmt::format("The node had condition: [{}]. ", fmt::join(conditions, " "))};
}

}  // namespace

int64_t amount(const std::string& resource, const kube::Quantity& quantity) {
  return resource == "cpu" ? quantity.milli() : quantity.whole();
}

bool tolerates(const kube::Pod& pod, const kube::Taint& taint) {
  return std::ranges::any_of(pod.spec.tolerations, [&](const kube::Toleration& toleration) {
    const bool effect = toleration.effect.empty() || toleration.effect == taint.effect;
    const bool key = toleration.key.empty() || toleration.key == taint.key;
    const bool exists = toleration.op == "Exists";
    return effect && key && (exists || (!toleration.key.empty() && toleration.value == taint.value));
  });
}

std::optional<Rejection> admit(const kube::Pod& pod, const std::vector<const kube::Pod*>& others,
                               const AdmissionNode& node) {
  if (auto rejected = check_pressures(pod, node)) {
    return rejected;
  }
  if (auto forbidden = node.sysctls.refusal(pod)) {
    return Rejection{"SysctlForbidden", *std::move(forbidden)};
  }
  if (auto rejected = check_os(pod, node)) {
    return rejected;
  }
  if (pod.spec.security_context.supplemental_groups_policy == kube::SupplementalGroupsPolicy::strict &&
      !node.strict_groups) {
    return Rejection{"SupplementalGroupsPolicyNotSupported",
                     "SupplementalGroupsPolicy=Strict is not supported in this node"};
  }
  if (kube::claims_resources(pod.spec)) {
    return Rejection{"UnexpectedAdmissionError",
                     "spec.resourceClaims: this node has no dynamic resources, and no driver for them"};
  }
  auto lacking = check_resources(pod, others, node);
  if (lacking && !is_critical(pod)) {
    lacking->shortage.clear();
    return lacking;
  }
  if (!wants_node(pod, node)) {
    return fails("NodeAffinity", "node(s) didn't match Pod's node affinity/selector");
  }
  if (!ports_are_free(pod, others)) {
    return fails("NodePorts", "node(s) didn't have free ports for the requested pod ports");
  }
  for (const auto& taint : node.taints) {
    if (taint.effect == "NoExecute" && !tolerates(pod, taint)) {
      return fails("TaintToleration", "node(s) had taints that the pod didn't tolerate");
    }
  }
  if (!node.apparmor && wants_apparmor(pod)) {
    return Rejection{"AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host"};
  }
  if (node.shutting_down) {
    return Rejection{"NodeShutdown", "Pod was rejected as the node is shutting down."};
  }
  if (lacking) {
    return lacking;
  }
  return std::nullopt;
}

}  // namespace keelson::agent
