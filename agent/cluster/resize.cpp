// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/resize.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/config/resources.h"
#include "kube/pod_qos.h"

namespace keelson::agent {

namespace {

constexpr const char* kResizable[] = {"cpu", "memory"};

/// Those that may be changed while they run.
template <class Pod, class Do>
void for_each_resizable(Pod& pod, Do&& what) {
  for (auto& container : pod.spec.containers) {
    what(container);
  }
  for (auto& container : pod.spec.init_containers) {
    if (container.is_sidecar()) {
      what(container);
    }
  }
}

const kube::ContainerStatus* status_of(const kube::Pod& pod, const std::string& name) {
  for (const auto* list : {&pod.status.container_statuses, &pod.status.init_container_statuses}) {
    const auto it = std::ranges::find(*list, name, &kube::ContainerStatus::name);
    if (it != list->end()) {
      return &*it;
    }
  }
  return nullptr;
}

void take(kube::ResourceList& into, const kube::ResourceList& from) {
  for (const char* resource : kResizable) {
    if (const auto it = from.find(resource); it != from.end()) {
      into[resource] = it->second;
    }
  }
}

/// The kubelet's word; nullptr: nothing has changed.
const char* operation(const kube::ResourceList& before, const kube::ResourceList& now, const char* resource) {
  const auto amount_in = [resource](const kube::ResourceList& list) {
    const auto found = list.find(resource);
    return found != list.end() ? found->second : kube::Quantity();
  };
  const auto old = amount_in(before);
  const auto wanted = amount_in(now);
  const kube::Quantity none;
  if (old == wanted) {
    return nullptr;
  }
  return wanted == none ? "remove" : old == none ? "add" : wanted < old ? "decrease" : "increase";
}

bool asks_for_other_cpu(const kube::Pod& before, const kube::Pod& now) {
  const auto old = resources_of(before);
  for (const auto& [name, resources] : resources_of(now)) {
    const auto known = old.find(name);
    if (known != old.end() && operation(known->second.requests, resources.requests, "cpu") != nullptr) {
      return true;
    }
  }
  return false;
}

}  // namespace

void count_requested(const ContainerResources& before, const ContainerResources& now, CounterVec& counts) {
  for (const auto& [name, resources] : now) {
    const auto old = before.find(name);
    if (old == before.end()) {
      continue;
    }
    for (const char* resource : kResizable) {
      for (const auto& [requirement, list] : {std::pair("requests", &kube::ResourceRequirements::requests),
                                              std::pair("limits", &kube::ResourceRequirements::limits)}) {
        if (const char* what = operation(old->second.*list, resources.*list, resource)) {
          counts.add({{"operation", what}, {"requirement", requirement}, {"resource", resource}});
        }
      }
    }
  }
}

ContainerResources resources_of(const kube::Pod& pod) {
  ContainerResources found;
  for_each_resizable(pod, [&](const kube::Container& container) { found[container.name] = container.resources; });
  return found;
}

ContainerResources resources_given(const kube::Pod& pod) {
  ContainerResources found = resources_of(pod);
  for (auto& [name, resources] : found) {
    const auto* status = status_of(pod, name);
    if (status == nullptr || !status->resources) {
      continue;
    }
    take(resources.limits, status->resources->limits);
    take(resources.requests, status->resources->requests);
    take(resources.requests, status->allocated_resources);
  }
  return found;
}

void set_resources(kube::Pod& pod, const ContainerResources& resources) {
  for_each_resizable(pod, [&](kube::Container& container) {
    if (const auto it = resources.find(container.name); it != resources.end()) {
      container.resources = it->second;
    }
  });
}

bool resizes_swap(const kube::Pod& given, const kube::Pod& wanted) {
  const auto memory_of = [](const kube::Container& container) {
    const auto found = container.resources.requests.find("memory");
    return found != container.resources.requests.end() ? found->second : kube::Quantity();
  };
  bool changes = false;
  for_each_resizable(given, [&](const kube::Container& container) {
    const auto* after = kube::find_container(wanted.spec, container.name);
    const bool restarts = std::ranges::any_of(container.resize_policy, [](const auto& policy) {
      return policy.resource_name == "memory" && policy.restart_policy == kube::ResizeRestart::restart_container;
    });
    changes = changes || (after != nullptr && !restarts && memory_of(container) != memory_of(*after) &&
                          (may_swap(given, container) || may_swap(wanted, *after)));
  });
  return changes;
}

std::optional<ResizeRefusal> judge_resize(const kube::Pod& pod, const kube::Pod& before,
                                          const std::vector<const kube::Pod*>& others, const AdmissionNode& node) {
  if (node.static_cpus && kube::qos_class(pod) == kube::QosClass::guaranteed && asks_for_other_cpu(before, pod)) {
    return ResizeRefusal{"Infeasible",
                         "Resize is infeasible for Guaranteed Pods alongside CPU Manager policy \"static\"",
                         "guaranteed_pod_cpu_manager_static_policy"};
  }
  const auto requests = kube::pod_requests(pod);
  for (const char* resource : kResizable) {
    const auto wanted = requests.find(resource);
    const auto there = node.allocatable.find(resource);
    if (wanted != requests.end() && there != node.allocatable.end() && wanted->second > there->second) {
      return ResizeRefusal{"Infeasible",
                           fmt::format("Node didn't have enough capacity: {}, requested: {}, capacity: {}", resource,
                                       amount(resource, wanted->second), amount(resource, there->second)),
                           "insufficient_node_allocatable"};
    }
  }
  const auto refusal = admit(pod, others, node);
  return refusal ? std::optional(ResizeRefusal{"Deferred", refusal->message}) : std::nullopt;
}

}  // namespace keelson::agent
