// SPDX-License-Identifier: Apache-2.0
// QoS class and totals of a pod's resources.
#include "kube/pod_qos.h"

#include <algorithm>

namespace keelson::kube {

namespace {

void add(ResourceList& sum, const ResourceList& part) {
  for (const auto& [name, quantity] : part) {
    sum[name] += quantity;
  }
}

void raise(ResourceList& list, const ResourceList& other) {
  for (const auto& [name, quantity] : other) {
    const auto [it, fresh] = list.try_emplace(name, quantity);
    if (!fresh && it->second < quantity) {
      it->second = quantity;
    }
  }
}

/// Resources that may be set for the pod as a whole.
bool pod_level(std::string_view name) {
  return name == "cpu" || name == "memory" || name.starts_with("hugepages-");
}

ResourceList total_of_containers(const PodSpec& spec, ResourceList ResourceRequirements::* side) {
  ResourceList sum;
  for (const Container& container : spec.containers) {
    add(sum, container.resources.*side);
  }
  ResourceList sidecars;
  ResourceList highest;
  for (const Container& container : spec.init_containers) {
    if (container.is_sidecar()) {
      add(sum, container.resources.*side);
      add(sidecars, container.resources.*side);
    } else {
      ResourceList at_once = sidecars;
      add(at_once, container.resources.*side);
      raise(highest, at_once);
    }
  }
  raise(sum, highest);
  return sum;
}

ResourceList total(const PodSpec& spec, ResourceList ResourceRequirements::* side) {
  ResourceList sum = total_of_containers(spec, side);
  if (spec.resources) {
    for (const auto& [name, quantity] : (*spec.resources).*side) {
      if (pod_level(name)) {
        sum[name] = quantity;
      }
    }
  }
  return sum;
}

/// Sums of the cpu and memory that are set, and whether both limits were set everywhere.
struct QosInput {
  ResourceList requests;
  ResourceList limits;
  bool all_limits = true;

  void add(const ResourceRequirements& resources) {
    size_t limited = 0;
    for (const char* name : {"cpu", "memory"}) {
      if (const auto it = resources.requests.find(name); it != resources.requests.end() && !it->second.zero()) {
        requests[name] += it->second;
      }
      if (const auto it = resources.limits.find(name); it != resources.limits.end() && !it->second.zero()) {
        limits[name] += it->second;
        ++limited;
      }
    }
    all_limits = all_limits && limited == 2;
  }
};

}  // namespace

QosClass qos_class(const Pod& pod) {
  QosInput input;
  if (has_pod_level(pod)) {
    input.add(*pod.spec.resources);
  } else {
    for (const auto* list : {&pod.spec.init_containers, &pod.spec.containers}) {
      for (const Container& container : *list) {
        input.add(container.resources);
      }
    }
  }
  if (input.requests.empty() && input.limits.empty()) {
    return QosClass::best_effort;
  }
  return input.all_limits && input.requests == input.limits ? QosClass::guaranteed : QosClass::burstable;
}

ResourceList pod_requests(const Pod& pod, Overhead overhead) {
  ResourceList sum = total(pod.spec, &ResourceRequirements::requests);
  if (overhead == Overhead::added) {
    add(sum, pod.spec.overhead);
  }
  return sum;
}

ResourceList pod_limits(const Pod& pod, Overhead overhead) {
  ResourceList sum = total(pod.spec, &ResourceRequirements::limits);
  if (overhead == Overhead::left_out) {
    return sum;
  }
  for (const auto& [name, quantity] : pod.spec.overhead) {
    if (const auto it = sum.find(name); it != sum.end() && !it->second.zero()) {
      it->second += quantity;
    }
  }
  return sum;
}

ResourceList container_requests(const Pod& pod) {
  return total_of_containers(pod.spec, &ResourceRequirements::requests);
}

bool all_limited(const Pod& pod, std::string_view resource) {
  const std::string name(resource);
  const auto limited = [&](const ResourceRequirements& resources) {
    const auto it = resources.limits.find(name);
    return it != resources.limits.end() && !it->second.zero();
  };
  if (pod.spec.resources && limited(*pod.spec.resources)) {
    return true;
  }
  bool limited_sidecar = false;
  for (const Container& container : pod.spec.init_containers) {
    const bool own = limited(container.resources);
    if (!own && !limited_sidecar) {
      return false;
    }
    limited_sidecar = limited_sidecar || (own && container.is_sidecar());
  }
  return std::ranges::all_of(pod.spec.containers, limited, &Container::resources);
}

bool has_pod_level(const Pod& pod) {
  const auto sets_any = [](const ResourceList& list) {
    return std::ranges::any_of(list, pod_level, &ResourceList::value_type::first);
  };
  const auto& whole = pod.spec.resources;
  return whole && (sets_any(whole->requests) || sets_any(whole->limits));
}

ResourceList limits_in_pod(const Pod& pod, const Container& container) {
  ResourceList limits = container.resources.limits;
  if (!pod.spec.resources) {
    return limits;
  }
  for (const auto& [name, quantity] : pod.spec.resources->limits) {
    if (!pod_level(name)) {
      continue;
    }
    const auto [own, inherited] = limits.try_emplace(name, quantity);
    if (!inherited && own->second.zero() && !name.starts_with("hugepages-")) {
      own->second = quantity;
    }
  }
  return limits;
}

}  // namespace keelson::kube
