// SPDX-License-Identifier: Apache-2.0
#include "agent/container_in_force.h"

#include <algorithm>

#include "agent/config/resources.h"

namespace keelson::agent {

namespace {

// The least that the kernel takes: a quota of 1 ms in 100 ms, two shares (pkg/kubelet/cm).
constexpr int64_t kLeastLimitMilli = 10;
constexpr int64_t kLeastShares = 2;

int64_t milli_of(const kube::ResourceList& list) {
  const auto it = list.find("cpu");
  return it == list.end() ? 0 : it->second.milli();
}

/// An amount that the spec has, too, keeps the spec's spelling.
void set(kube::ResourceList& list, const char* name, kube::Quantity amount) {
  const auto it = list.find(name);
  if (it == list.end() || it->second != amount) {
    list.insert_or_assign(name, amount);
  }
}

kube::ResourceRequirements resources_in_force(const kube::ResourceRequirements& given, const ObservedResources& told) {
  kube::ResourceRequirements resources = given;
  if (!resources.limits.empty() && told.cpu_quota > 0 && told.cpu_period > 0) {
    const int64_t milli = told.cpu_quota * 1000 / told.cpu_period;
    if (std::max(milli, milli_of(resources.limits)) > kLeastLimitMilli) {
      set(resources.limits, "cpu", kube::Quantity::of_milli(milli));
    }
  }
  if (!resources.limits.empty() && told.memory_limit > 0) {
    set(resources.limits, "memory", kube::Quantity::of(told.memory_limit, kube::Quantity::Format::binary_si));
  }
  if (!resources.requests.empty() && told.cpu_shares > 0) {
    const int64_t milli = (told.cpu_shares * 1000 + 1023) / 1024;
    if (std::max(milli, milli_of(resources.requests)) > kLeastShares) {
      set(resources.requests, "cpu", kube::Quantity::of_milli(milli));
    }
  }
  return resources;
}

bool is_recursive(const kube::VolumeMount& mount, const ObservedContainer* instance) {
  if (instance != nullptr) {
    return std::ranges::find(instance->recursive_read_only, mount.mount_path) != instance->recursive_read_only.end();
  }
  return mount.recursive_read_only.value_or(kube::RecursiveReadOnly::disabled) != kube::RecursiveReadOnly::disabled;
}

}  // namespace

void tell_in_force(const kube::Container& container, const ObservedContainer* instance, kube::ContainerStatus& status) {
  for (const auto& mount : container.volume_mounts) {
    auto& told = status.volume_mounts.emplace_back();
    told.name = mount.name;
    told.mount_path = mount.mount_path;
    told.read_only = mount.read_only;
    if (mount.read_only) {
      told.recursive_read_only =
          is_recursive(mount, instance) ? kube::RecursiveReadOnly::enabled : kube::RecursiveReadOnly::disabled;
    }
  }
  if (instance == nullptr) {
    return;
  }
  const bool running = instance->state == RunState::running;
  status.resources = running ? resources_in_force(container.resources, instance->resources) : container.resources;
  status.allocated_resources = container.resources.requests;
  if (instance->user) {
    status.user = kube::ContainerUser{instance->user};
  }
}

Resize resize_of(const kube::Pod& pod, const kube::Container& container, const ObservedContainer& instance,
                 const std::optional<ObservedResources>& given, CpuQuotas quotas) {
  const ObservedResources has = given.value_or(instance.resources);
  if (has == ObservedResources()) {
    return Resize::none;
  }
  const ObservedResources wanted = resources_for(pod, container, quotas);
  const bool cpu = has.cpu_shares != wanted.cpu_shares || std::max<int64_t>(has.cpu_quota, 0) != wanted.cpu_quota;
  const bool memory = std::max<int64_t>(has.memory_limit, 0) != wanted.memory_limit;
  if (!cpu && !memory) {
    return Resize::none;
  }
  const bool restarts = std::ranges::any_of(container.resize_policy, [&](const auto& policy) {
    return policy.restart_policy == kube::ResizeRestart::restart_container &&
           ((cpu && policy.resource_name == "cpu") || (memory && policy.resource_name == "memory"));
  });
  return restarts ? Resize::by_restart : Resize::in_place;
}

}  // namespace keelson::agent
