// SPDX-License-Identifier: Apache-2.0
// The kubelet's pkg/kubelet/cm/devicemanager, as far as it is bookkeeping.
#include "agent/devices/inventory.h"

#include <algorithm>

namespace keelson::devices {

Ids Assignment::ids() const {
  Ids all;
  for (const auto& [node, of_node] : devices) {
    all.insert(of_node.begin(), of_node.end());
  }
  return all;
}

Ids Choice::complete(const Ids& preferred) const {
  Ids chosen = taken;
  const size_t whole = taken.size() + left;
  for (const Ids* from : {&preferred, &available}) {
    for (const auto& id : *from) {
      if (chosen.size() < whole && available.contains(id)) {
        chosen.insert(id);
      }
    }
  }
  return chosen;
}

// ---- Devices

void Inventory::expect(const std::string& resource) {
  resources_.try_emplace(resource);
  removed_.erase(resource);
}

void Inventory::listed(const std::string& resource, const std::vector<Device>& devices) {
  expect(resource);
  auto& known = resources_[resource];
  known.clear();
  for (const auto& device : devices) {
    known.insert_or_assign(device.id, device);
  }
}

void Inventory::stopped(const std::string& resource) {
  expect(resource);
  for (auto& [id, device] : resources_[resource]) {
    device.healthy = false;
  }
}

void Inventory::removed(const std::string& resource) {
  if (resources_.erase(resource) > 0) {
    removed_.insert(resource);
  }
}

std::set<std::string> Inventory::resources() const {
  std::set<std::string> names;
  for (const auto& [resource, devices] : resources_) {
    names.insert(resource);
  }
  for (const auto& [pod, containers] : assigned_) {
    for (const auto& [container, resources] : containers) {
      for (const auto& [resource, assignment] : resources) {
        names.insert(resource);
      }
    }
  }
  return names;
}

agent::DeviceResources Inventory::totals() const {
  agent::DeviceResources totals;
  for (const auto& resource : removed_) {
    totals.capacity[resource] = totals.allocatable[resource] = kube::Quantity::of(0);
  }
  for (const auto& [resource, devices] : resources_) {
    const auto healthy = std::ranges::count_if(devices, [](const auto& entry) { return entry.second.healthy; });
    totals.capacity[resource] = kube::Quantity::of(std::ssize(devices));
    totals.allocatable[resource] = kube::Quantity::of(healthy);
  }
  return totals;
}

ResourceIds Inventory::healthy() const {
  ResourceIds all;
  for (const auto& [resource, devices] : resources_) {
    auto& ids = all[resource];
    for (const auto& [id, device] : devices) {
      if (device.healthy) {
        ids.insert(id);
      }
    }
  }
  return all;
}

std::vector<int64_t> Inventory::numa_nodes(const std::string& resource, const std::string& id) const {
  const auto devices = resources_.find(resource);
  if (devices == resources_.end()) {
    return {};
  }
  const auto device = devices->second.find(id);
  return device != devices->second.end() ? device->second.numa_nodes : std::vector<int64_t>();
}

// ---- Assignments

const PodDevices* Inventory::of(const std::string& pod) const {
  const auto found = assigned_.find(pod);
  return found != assigned_.end() ? &found->second : nullptr;
}

void Inventory::assign(const std::string& pod, PodDevices devices) {
  if (devices.empty()) {
    assigned_.erase(pod);
  } else {
    assigned_[pod] = std::move(devices);
  }
}

void Inventory::hold(const std::string& resource, const Ids& ids) {
  held_[resource].insert(ids.begin(), ids.end());
}

void Inventory::unhold(const std::string& resource, const Ids& ids) {
  auto& held = held_[resource];
  for (const auto& id : ids) {
    if (const auto found = held.find(id); found != held.end()) {
      held.erase(found);
    }
  }
}

Ids Inventory::in_use(const std::string& resource) const {
  Ids used;
  if (const auto held = held_.find(resource); held != held_.end()) {
    used.insert(held->second.begin(), held->second.end());
  }
  for (const auto& [pod, containers] : assigned_) {
    for (const auto& [container, resources] : containers) {
      if (const auto found = resources.find(resource); found != resources.end()) {
        used.merge(found->second.ids());
      }
    }
  }
  return used;
}

/// The healthy ones.
Result<Ids> Inventory::usable(const std::string& resource) const {
  const auto known = resources_.find(resource);
  if (known == resources_.end()) {
    return fail(Kind::exhausted, "cannot allocate unregistered device {}", resource);
  }
  Ids healthy;
  for (const auto& [id, device] : known->second) {
    if (device.healthy) {
      healthy.insert(id);
    }
  }
  if (healthy.empty()) {
    return fail(Kind::exhausted, "no healthy devices present; cannot allocate unhealthy devices {}", resource);
  }
  return healthy;
}

Result<> Inventory::check_kept(const std::string& resource, const Ids& kept) const {
  KEELSON_TRY(const auto healthy, usable(resource));
  if (!std::ranges::includes(healthy, kept)) {
    return fail(Kind::exhausted,
                "previously allocated devices are no longer healthy; cannot allocate unhealthy devices {}", resource);
  }
  return {};
}

Result<Choice> Inventory::choose(const Wish& wish, const Ids& reusable) const {
  KEELSON_TRY(const auto healthy, usable(wish.resource));
  const auto wanted = static_cast<size_t>(wish.count);
  Choice choice;
  for (const auto& id : reusable) {
    if (choice.taken.size() < wanted) {
      choice.taken.insert(id);
    }
  }
  choice.left = wanted - choice.taken.size();
  const auto used = in_use(wish.resource);
  std::ranges::set_difference(healthy, used, std::inserter(choice.available, choice.available.end()));
  if (choice.available.size() < choice.left) {
    return fail(Kind::exhausted, "requested number of devices unavailable for {}. Requested: {}, Available: {}",
                wish.resource, choice.left, choice.available.size());
  }
  return choice;
}

Assignment Inventory::describe(const std::string& resource, const Ids& ids, std::string response) const {
  Assignment assignment{.devices = {}, .response = std::move(response)};
  for (const auto& id : ids) {
    const auto nodes = numa_nodes(resource, id);
    for (const int64_t node : nodes.empty() ? std::vector<int64_t>{kNoNumaNode} : nodes) {
      assignment.devices[node].push_back(id);
    }
  }
  return assignment;
}

}  // namespace keelson::devices
