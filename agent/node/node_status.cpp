// SPDX-License-Identifier: Apache-2.0
#include "agent/node/node_status.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "agent/node/node_addresses.h"
#include "agent/runtime_conditions.h"
#include "common/duration.h"
#include "kube/resource_names.h"

namespace keelson::agent {

namespace {

using kube::ConditionStatus;
using kube::NodeCondition;

constexpr const char* kReady = "Ready";
constexpr size_t kMaxImageNames = 5;  // the kubelet's: a Node is not to grow without bound
constexpr const char* kAttachDetach = "volumes.kubernetes.io/controller-managed-attach-detach";
constexpr const char* kProvidedIp = "alpha.kubernetes.io/provided-node-ip";
constexpr std::array<std::string_view, 11> kDefaultLabels = {"kubernetes.io/hostname",
                                                             "topology.kubernetes.io/zone",
                                                             "topology.kubernetes.io/region",
                                                             "failure-domain.beta.kubernetes.io/zone",
                                                             "failure-domain.beta.kubernetes.io/region",
                                                             "node.kubernetes.io/instance-type",
                                                             "beta.kubernetes.io/instance-type",
                                                             "kubernetes.io/os",
                                                             "kubernetes.io/arch",
                                                             "beta.kubernetes.io/os",
                                                             "beta.kubernetes.io/arch"};

/// Keeps the transition time of a condition whose status is as it was.
NodeCondition settled(NodeCondition condition, const kube::NodeStatus& previous, WallTime now) {
  const auto* before = find_condition(previous, condition.type);
  condition.last_heartbeat_time = now;
  condition.last_transition_time =
      before != nullptr && before->status == condition.status && before->last_transition_time
          ? before->last_transition_time
          : now;
  return condition;
}

NodeCondition condition_of(std::string type, bool is_true, std::string reason, std::string message) {
  NodeCondition condition;
  condition.type = std::move(type);
  condition.status = is_true ? ConditionStatus::true_status : ConditionStatus::false_status;
  condition.reason = std::move(reason);
  condition.message = std::move(message);
  return condition;
}

NodeCondition memory_pressure(bool pressed) {
  return condition_of(
      "MemoryPressure", pressed, pressed ? "KubeletHasInsufficientMemory" : "KubeletHasSufficientMemory",
      pressed ? "kubelet has insufficient memory available" : "kubelet has sufficient memory available");
}
NodeCondition disk_pressure(bool pressed) {
  return condition_of("DiskPressure", pressed, pressed ? "KubeletHasDiskPressure" : "KubeletHasNoDiskPressure",
                      pressed ? "kubelet has disk pressure" : "kubelet has no disk pressure");
}
NodeCondition pid_pressure(bool pressed) {
  return condition_of("PIDPressure", pressed, pressed ? "KubeletHasInsufficientPID" : "KubeletHasSufficientPID",
                      pressed ? "kubelet has insufficient PID available" : "kubelet has sufficient PID available");
}

/// "" or why the agent does not do.
std::string stuck(const PlegView& pleg) {
  if (!pleg.seen) {
    return "PLEG is not healthy: pleg has yet to be successful";
  }
  return pleg.silent <= kPlegThreshold
             ? ""
             : fmt::format("PLEG is not healthy: pleg was last seen active {} ago; threshold is {}",
                           duration_text(std::chrono::floor<std::chrono::seconds>(pleg.silent)),
                           duration_text(kPlegThreshold));
}

/// The parts of a Ready=False message, as Go's aggregate of errors prints them.
std::string aggregate(const std::vector<std::string>& errors) {
  return errors.size() == 1 ? errors.front() : fmt::format("[{}]", fmt::join(errors, ", "));
}

NodeCondition ready(const NodeView& view, const kube::ResourceList& capacity) {
  std::vector<std::string> errors;
  const auto add = [&errors](std::string text) {
    if (!text.empty()) {
      errors.push_back(std::move(text));
    }
  };
  if (!view.runtime.asked) {
    add("container runtime status check may not have completed yet");
    add(stuck(view.pleg));
  } else {
    add(view.runtime.down ? "container runtime is down" : "");
    add(stuck(view.pleg));
    add(runtime_lacks(view.runtime.status));
    add(network_lacks(view.runtime.status));
  }
  std::vector<std::string_view> missing;
  for (const char* name : {"cpu", "memory", "pods", "ephemeral-storage"}) {
    if (!capacity.contains(name)) {
      missing.emplace_back(name);
    }
  }
  if (!missing.empty()) {
    add(fmt::format("missing node capacity for resources: {}", fmt::join(missing, ", ")));
  }
  add(view.shutting_down ? "node is shutting down" : "");
  return errors.empty() ? condition_of(kReady, true, "KubeletReady", "kubelet is posting ready status")
                        : condition_of(kReady, false, "KubeletNotReady", aggregate(errors));
}

/// Ours at the end, those of others before them as they are.
std::vector<NodeCondition> conditions(std::vector<NodeCondition> ours, const kube::NodeStatus& previous, WallTime now) {
  std::vector<NodeCondition> all;
  for (const auto& condition : previous.conditions) {
    if (std::ranges::find(ours, condition.type, &NodeCondition::type) == ours.end()) {
      all.push_back(condition);
    }
  }
  for (auto& condition : ours) {
    all.push_back(settled(std::move(condition), previous, now));
  }
  return all;
}

std::vector<kube::NodeImage> images(std::vector<cri::Image> found, int64_t most) {
  std::ranges::sort(found,
                    [](const auto& a, const auto& b) { return a.size != b.size ? a.size > b.size : a.id < b.id; });
  std::vector<kube::NodeImage> shown;
  for (auto& image : found) {
    if (most >= 0 && std::ssize(shown) >= most) {
      break;
    }
    auto names = std::move(image.repo_digests);
    names.insert(names.end(), image.repo_tags.begin(), image.repo_tags.end());
    names.resize(std::min(names.size(), kMaxImageNames));
    shown.push_back({.names = std::move(names), .size_bytes = static_cast<int64_t>(image.size)});
  }
  return shown;
}

kube::NodeSystemInfo system_info(const NodeSettings& settings, const NodeView& view,
                                 const kube::NodeSystemInfo& previous) {
  const Machine& machine = view.machine;
  kube::NodeSystemInfo info;
  info.machine_id = machine.machine_id;
  info.system_uuid = machine.system_uuid;
  info.boot_id = machine.boot_id;
  info.kernel_version = machine.kernel_version;
  info.os_image = machine.os_image;
  // What it was is better than nothing, until the runtime answers.
  info.container_runtime_version = view.runtime.asked
                                       ? fmt::format("{}://{}", view.runtime.version.name, view.runtime.version.version)
                                   : previous.container_runtime_version.empty() ? "://Unknown"
                                                                                : previous.container_runtime_version;
  info.kubelet_version = settings.kubelet_version;
  info.architecture = machine.architecture;
  info.swap_capacity = machine.swap > 0 ? std::optional(machine.swap) : std::nullopt;
  return info;
}

/// What cluster operators have put there ("vendor.com/x", "kubernetes.io/batch-cpu"): not ours to take away.
void keep_of_others(kube::ResourceList& now, const kube::ResourceList& previous) {
  for (const auto& [name, amount] : previous) {
    if (name.find('/') != std::string::npos) {
      now.emplace(name, amount);
    }
  }
}

kube::StringMap labels_of(const NodeSettings& settings, const Machine& machine) {
  kube::StringMap labels = settings.labels;
  for (const char* prefix : {"", "beta."}) {
    labels.emplace(fmt::format("{}kubernetes.io/os", prefix), "linux");
    labels.emplace(fmt::format("{}kubernetes.io/arch", prefix), machine.architecture);
  }
  labels.emplace("kubernetes.io/hostname", settings.name);
  return labels;
}

std::vector<kube::NodeAddress> addresses(const NodeSettings& settings, const NodeView& view,
                                         const kube::NodeStatus& previous) {
  if (settings.external_cloud && !previous.addresses.empty()) {
    return previous.addresses;  // the cloud controller's word counts
  }
  const bool waits_for_cloud = settings.external_cloud && settings.node_ip.empty();
  if (view.ips.empty() && !waits_for_cloud) {
    return previous.addresses;
  }
  std::vector<kube::NodeAddress> all;
  for (const auto& ip : waits_for_cloud ? std::vector<std::string>() : view.ips) {
    all.push_back({.type = "InternalIP", .address = ip});
  }
  all.push_back({.type = "Hostname", .address = settings.name});
  return all;
}

/// Without what is news of no kind.
kube::NodeStatus without_heartbeats(kube::NodeStatus status) {
  for (auto& condition : status.conditions) {
    condition.last_heartbeat_time.reset();
    condition.last_transition_time.reset();
  }
  std::ranges::sort(status.conditions, {}, &NodeCondition::type);
  return status;
}

}  // namespace

const kube::NodeCondition* find_condition(const kube::NodeStatus& status, std::string_view type) {
  const auto found = std::ranges::find(status.conditions, type, &NodeCondition::type);
  return found != status.conditions.end() ? &*found : nullptr;
}

kube::NodeStatus make_node_status(const NodeSettings& settings, const NodeView& view, const kube::NodeStatus& previous,
                                  WallTime now) {
  kube::NodeStatus status;
  status.capacity = node_capacity(view.machine, settings.pods);
  status.capacity.insert(view.devices.capacity.begin(), view.devices.capacity.end());
  keep_of_others(status.capacity, previous.capacity);
  status.allocatable = node_allocatable(status.capacity, settings.reservation);
  for (const auto& [name, amount] : view.devices.allocatable) {
    status.allocatable[name] = amount;
  }
  status.conditions = conditions({memory_pressure(view.pressures.memory), disk_pressure(view.pressures.disk),
                                  pid_pressure(view.pressures.pid), ready(view, status.capacity)},
                                 previous, now);
  status.addresses = addresses(settings, view, previous);
  status.kubelet_port = settings.port;
  status.node_info = system_info(settings, view, previous.node_info);
  status.volumes_in_use = previous.volumes_in_use;
  if (view.volumes_in_use) {
    status.volumes_in_use.assign(view.volumes_in_use->begin(), view.volumes_in_use->end());
  }
  status.volumes_attached = previous.volumes_attached;
  if (!view.runtime.asked) {
    status.images = previous.images;
    status.runtime_handlers = previous.runtime_handlers;
    status.supplemental_groups_policy = previous.supplemental_groups_policy;
    return status;
  }
  status.images = images(view.runtime.images, settings.max_images);
  for (const auto& handler : view.runtime.status.handlers) {
    status.runtime_handlers.push_back({.name = handler.name,
                                       .recursive_read_only_mounts = handler.recursive_read_only_mounts,
                                       .user_namespaces = handler.user_namespaces});
  }
  status.supplemental_groups_policy = view.runtime.status.supplemental_groups_policy;
  return status;
}

kube::FullNode make_node(const NodeSettings& settings, const NodeView& view, WallTime now) {
  kube::FullNode node;
  node.metadata.name = settings.name;
  node.metadata.labels = labels_of(settings, view.machine);
  node.metadata.annotations[kAttachDetach] = "true";
  node.provider_id = settings.provider_id;
  node.taints = settings.taints;
  if (settings.external_cloud) {
    node.taints.push_back({.key = "node.cloudprovider.kubernetes.io/uninitialized",
                           .value = "true",
                           .effect = "NoSchedule",
                           .time_added = {}});
    if (const auto provided = specified_addresses(settings.node_ip); !provided.empty()) {
      node.metadata.annotations[kProvidedIp] = fmt::format("{}", fmt::join(provided, ","));
    }
  }
  node.status = make_node_status(settings, view, {}, now);
  return node;
}

void take_away_extended(kube::NodeStatus& status) {
  for (auto* list : {&status.capacity, &status.allocatable}) {
    for (auto& [name, amount] : *list) {
      if (kube::is_extended_resource(name)) {
        amount = kube::Quantity::of(0);
      }
    }
  }
}

bool differs(const kube::NodeStatus& a, const kube::NodeStatus& b) {
  return without_heartbeats(a) != without_heartbeats(b);
}

MetadataChange metadata_change(const kube::FullNode& wanted, const kube::FullNode& existing) {
  MetadataChange change;
  for (const auto label : kDefaultLabels) {
    const auto want = wanted.metadata.labels.find(std::string(label));
    const auto have = existing.metadata.labels.find(std::string(label));
    if (want != wanted.metadata.labels.end() &&
        (have == existing.metadata.labels.end() || have->second != want->second)) {
      change.labels.insert(*want);
    }
  }
  if (existing.metadata.annotations.contains(kProvidedIp) && !wanted.metadata.annotations.contains(kProvidedIp)) {
    change.annotations[kProvidedIp] = "";  // goes
  }
  for (const auto& annotation : wanted.metadata.annotations) {
    const auto have = existing.metadata.annotations.find(annotation.first);
    if (have == existing.metadata.annotations.end() || have->second != annotation.second) {
      change.annotations.insert(annotation);
    }
  }
  return change;
}

}  // namespace keelson::agent
