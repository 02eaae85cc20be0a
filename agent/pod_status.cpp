// SPDX-License-Identifier: Apache-2.0
// Container statuses, conditions, phase: from plain values to the API's words.
#include "agent/pod_status.h"

#include <fmt/format.h>

#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "agent/container_in_force.h"
#include "agent/container_statuses.h"
#include "agent/plan_parts.h"
#include "agent/pod_phase.h"
#include "kube/pod_qos.h"
#include "kube/status_patch.h"

namespace keelson::agent {

namespace {

using kube::ConditionStatus;
using kube::PodPhase;

constexpr size_t kMessageRoom = size_t{12} * 1024;

std::string join(const std::vector<std::string>& names) {
  return fmt::format("[{}]", fmt::join(names, " "));
}

/// Sets one condition; its transition time moves only when its status changes.
void set_condition(kube::PodStatus& status, const kube::PodStatus& previous, kube::PodCondition condition,
                   WallTime now) {
  condition.observed_generation = status.observed_generation;
  auto old = std::ranges::find(previous.conditions, condition.type, &kube::PodCondition::type);
  bool same = old != previous.conditions.end() && old->status == condition.status && old->last_transition_time;
  condition.last_transition_time = same ? *old->last_transition_time : now;
  status.conditions.push_back(std::move(condition));
}

kube::PodCondition condition(std::string type, bool holds, std::string reason = {}, std::string message = {}) {
  kube::PodCondition c;
  c.type = std::move(type);
  c.status = holds ? ConditionStatus::true_status : ConditionStatus::false_status;
  c.reason = std::move(reason);
  c.message = std::move(message);
  return c;
}

kube::PodCondition containers_ready(const StatusInput& in, const kube::PodStatus& status) {
  if (is_final(status.phase)) {
    return condition("ContainersReady", false, status.phase == PodPhase::succeeded ? "PodCompleted" : "PodFailed");
  }
  std::vector<std::string> unready;
  for (size_t i = 0; i < status.init_container_statuses.size(); ++i) {
    if (in.pod.spec.init_containers[i].is_sidecar() && !status.init_container_statuses[i].ready) {
      unready.push_back(status.init_container_statuses[i].name);
    }
  }
  for (const auto& container : status.container_statuses) {
    if (!container.ready) {
      unready.push_back(container.name);
    }
  }
  if (unready.empty()) {
    return condition("ContainersReady", true);
  }
  return condition("ContainersReady", false, "ContainersNotReady", "containers with unready status: " + join(unready));
}

kube::PodCondition pod_ready(const StatusInput& in, const kube::PodCondition& containers) {
  kube::PodCondition ready = containers;
  ready.type = "Ready";
  if (containers.status != ConditionStatus::true_status) {
    return ready;
  }
  std::vector<std::string> messages;
  for (const auto& gate : in.pod.spec.readiness_gates) {
    auto it = std::ranges::find(in.previous.conditions, gate, &kube::PodCondition::type);
    if (it == in.previous.conditions.end()) {
      messages.push_back(fmt::format("corresponding condition of pod readiness gate \"{}\" does not exist.", gate));
    } else if (it->status != ConditionStatus::true_status) {
      messages.push_back(fmt::format("the status of pod readiness gate \"{}\" is not \"True\", but {}", gate,
                                     kube::to_string(it->status)));
    }
  }
  if (!messages.empty()) {
    return condition("Ready", false, "ReadinessGatesNotReady", fmt::format("{}", fmt::join(messages, ", ")));
  }
  return ready;
}

kube::PodCondition initialized(const StatusInput& in, const kube::PodStatus& status) {
  if (status.phase == PodPhase::succeeded) {
    return condition("Initialized", true, "PodCompleted");
  }
  InitProgress init = init_progress(in.pod, in.observed, in.memory);
  if (init.done) {
    return condition("Initialized", true);
  }
  std::vector<std::string> names;
  for (const auto* container : init.incomplete) {
    names.push_back(container->name);
  }
  return condition("Initialized", false, "ContainersNotInitialized",
                   "containers with incomplete status: " + join(names));
}

/// Containers that run are to get other resources.
void set_resize_in_progress(kube::PodStatus& status, const StatusInput& in, WallTime now) {
  bool resizes = false;
  std::string error;
  for (const auto& instance : in.observed.containers) {
    if (in.plan.stage == Plan::Stage::sync && resize_of(in.pod, instance, in.memory, in.quotas) != Resize::none) {
      const ContainerMemory* known = memory_of(in.memory, instance);
      resizes = true;
      error = known != nullptr && error.empty() ? known->resize_error : error;
    }
  }
  if (resizes) {
    set_condition(status, in.previous,
                  condition(kube::kResizeInProgress, true, error.empty() ? "" : "Error", std::move(error)), now);
  }
}

void set_conditions(kube::PodStatus& status, const StatusInput& in, WallTime now) {
  const ObservedSandbox* sandbox = in.observed.ready_sandbox();
  bool network = sandbox != nullptr && (in.pod.spec.host_network || !sandbox->ips.empty());
  set_condition(status, in.previous, condition("PodReadyToStartContainers", network), now);
  set_condition(status, in.previous, initialized(in, status), now);
  kube::PodCondition containers = containers_ready(in, status);
  set_condition(status, in.previous, pod_ready(in, containers), now);
  set_condition(status, in.previous, containers, now);
  set_condition(status, in.previous, condition("PodScheduled", true), now);
  set_resize_in_progress(status, in, now);
  for (const auto& other : in.previous.conditions) {
    if (other.type != kube::kResizeInProgress &&
        std::ranges::find(status.conditions, other.type, &kube::PodCondition::type) == status.conditions.end()) {
      status.conditions.push_back(other);
    }
  }
}

void set_phase(kube::PodStatus& status, const StatusInput& in, WallTime now) {
  if (is_final(in.previous.phase)) {
    status.phase = in.previous.phase;
    status.reason = in.previous.reason;
    status.message = in.previous.message;
    return;
  }
  auto decided = verdict(in.pod, in.observed, in.memory, now);
  if (decided && !is_running(in.observed)) {
    status.phase = decided->phase;
    status.reason = decided->reason;
    status.message = decided->message;
  } else if (decided) {
    status.phase = in.previous.phase.value_or(PodPhase::running);
  } else {
    status.phase = current_phase(in.pod, in.observed, in.memory, status.container_statuses);
  }
}

void set_addresses(kube::PodStatus& status, const StatusInput& in, const StatusNode& node) {
  status.host_ips = node.ips;
  status.host_ip = node.ips.empty() ? "" : node.ips.front();
  status.pod_ips = in.previous.pod_ips;
  if (in.pod.spec.host_network) {
    status.pod_ips = in.observed.sandboxes.empty() ? status.pod_ips : node.ips;
  } else if (!in.observed.sandboxes.empty() && !in.observed.sandboxes.front().ips.empty()) {
    status.pod_ips = in.observed.sandboxes.front().ips;
  }
  status.pod_ip = status.pod_ips.empty() ? "" : status.pod_ips.front();
}

/// The node's word on a pod that it has ended. Others' conditions of that type give way to it.
void set_disruption(kube::PodStatus& status, const StatusInput& in, WallTime now) {
  const auto& verdict = in.memory.verdict;
  if (!verdict || !verdict->disruption || !is_final(status.phase)) {
    return;
  }
  std::erase_if(status.conditions, [](const auto& c) { return c.type == kube::kDisruptionTarget; });
  set_condition(status, in.previous,
                condition(kube::kDisruptionTarget, true, kube::kTerminationByKubelet, *verdict->disruption), now);
}

/// Nothing is left in the runtime of a pod that has ended: what was said of it stays.
kube::PodStatus status_of_ended(const StatusInput& in, WallTime now) {
  kube::PodStatus status = in.previous;
  status.observed_generation = in.pod.metadata.generation;
  status.qos_class = kube::qos_class(in.pod);
  status.start_time = status.start_time ? status.start_time : in.memory.start_time;
  std::erase_if(status.conditions,
                [](const auto& c) { return c.type == kube::kResizePending || c.type == kube::kResizeInProgress; });
  if (std::erase_if(status.conditions, [](const auto& c) { return c.type == "PodReadyToStartContainers"; }) > 0) {
    set_condition(status, in.previous, condition("PodReadyToStartContainers", false), now);
  }
  set_disruption(status, in, now);
  return status;
}

/// All messages of a pod share the room that there is for them (kubelet MaxPodTerminationMessageLogLength).
void cut_messages(kube::PodStatus& status) {
  const size_t containers = status.init_container_statuses.size() + status.container_statuses.size() +
                            status.ephemeral_container_statuses.size();
  const size_t share = kMessageRoom / std::max<size_t>(containers, 1);
  for (auto* list :
       {&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses}) {
    for (auto& container : *list) {
      for (auto* state : {&container.state, &container.last_state}) {
        if (state->terminated && state->terminated->message.size() > share) {
          state->terminated->message.resize(share);
        }
      }
    }
  }
}

/// Set by controllers, or by who admits pods: a worker hands it on.
bool is_of_others(const kube::PodCondition& condition) {
  return !kube::is_condition_of_node(condition.type) || condition.type == kube::kResizePending;
}

}  // namespace

kube::PodStatus make_status(const StatusInput& input, const StatusNode& node, WallTime now) {
  if (is_final(input.previous.phase) && input.observed.sandboxes.empty() && input.observed.containers.empty()) {
    return status_of_ended(input, now);
  }
  kube::PodStatus status;
  status.observed_generation = input.pod.metadata.generation;
  status.qos_class = kube::qos_class(input.pod);
  status.start_time = input.memory.start_time;
  set_addresses(status, input, node);
  for (const auto& container : input.pod.spec.init_containers) {
    status.init_container_statuses.push_back(container_status(input, node, container, Role::init));
  }
  for (const auto& container : input.pod.spec.containers) {
    status.container_statuses.push_back(container_status(input, node, container, Role::main));
  }
  for (const auto& ephemeral : input.pod.spec.ephemeral_containers) {
    auto& said = status.ephemeral_container_statuses.emplace_back(
        container_status(input, node, ephemeral.container, Role::ephemeral));
    said.started.reset();
  }
  cut_messages(status);
  set_phase(status, input, now);
  set_conditions(status, input, now);
  set_disruption(status, input, now);
  return status;
}

void take_conditions_of_others(kube::PodStatus& status, const kube::PodStatus& from) {
  std::erase_if(status.conditions, is_of_others);
  std::ranges::copy_if(from.conditions, std::back_inserter(status.conditions), is_of_others);
}

std::vector<std::string> in_family_order(const std::vector<std::string>& ips, const StatusNode& node) {
  const auto is_v6 = [](const std::string& ip) { return ip.find(':') != ip.npos; };
  const bool v6_first = !node.ips.empty() && is_v6(node.ips.front());
  std::vector<std::string> sorted;
  for (const bool v6 : {v6_first, !v6_first}) {
    if (auto it = std::ranges::find(ips, v6, is_v6); it != ips.end()) {
      sorted.push_back(*it);
    }
  }
  return sorted;
}

bool is_resizing(const kube::PodStatus& status) {
  return std::ranges::any_of(status.conditions, [](const auto& c) { return c.type == kube::kResizeInProgress; });
}

std::string resize_summary(const kube::Pod& pod) {
  boost::json::object summary;
  for (const auto& [key, list] :
       {std::pair("initContainers", &pod.spec.init_containers), std::pair("containers", &pod.spec.containers)}) {
    boost::json::array told;
    for (const auto& container : *list) {
      boost::json::object resources;
      for (const auto& [name, amounts] :
           {std::pair("limits", &container.resources.limits), std::pair("requests", &container.resources.requests)}) {
        boost::json::object told_amounts;
        for (const auto& [resource, amount] : *amounts) {
          told_amounts[resource] = amount.to_string();
        }
        if (!told_amounts.empty()) {
          resources[name] = std::move(told_amounts);
        }
      }
      told.push_back(boost::json::object{{"name", container.name}, {"resources", std::move(resources)}});
    }
    if (!told.empty()) {
      summary[key] = std::move(told);
    }
  }
  return boost::json::serialize(summary);
}

std::string why_waiting(const kube::PodStatus& status, std::string_view name) {
  for (const auto* list :
       {&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses}) {
    const auto known = std::ranges::find(*list, name, &kube::ContainerStatus::name);
    if (known != list->end() && known->state.waiting) {
      const auto& reason = known->state.waiting->reason;
      return reason == "ErrImagePull"       ? ": image can't be pulled"
             : reason == "ImagePullBackOff" ? ": trying and failing to pull image"
                                            : ": " + reason;
    }
  }
  return " - no logs yet";
}

}  // namespace keelson::agent
