// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/pod_resource_source.h"

#include <vector>

namespace keelson::cli {

namespace {

std::vector<pod_resources::Device> told(std::vector<devices::DeviceUse> devices) {
  std::vector<pod_resources::Device> all;
  for (auto& [resource, id, numa_nodes] : devices) {
    all.push_back({.resource = std::move(resource), .id = std::move(id), .numa_nodes = std::move(numa_nodes)});
  }
  return all;
}

}  // namespace

std::vector<kube::Pod> PodResourceSource::active_pods() const {
  auto pods = agent_.pods();
  std::erase_if(pods, [](const kube::Pod& pod) {
    return pod.status.phase == kube::PodPhase::succeeded || pod.status.phase == kube::PodPhase::failed;
  });
  return pods;
}

std::optional<kube::Pod> PodResourceSource::find_pod(const std::string& ns, const std::string& name) const {
  auto found = agent_.find_pod(ns, name);
  return found ? std::optional(*std::move(found)) : std::nullopt;
}

std::vector<pod_resources::Device> PodResourceSource::devices_of(const std::string& pod_uid,
                                                                 const std::string& container) const {
  return told(devices_.devices_of(pod_uid, container));
}

std::vector<int64_t> PodResourceSource::cpus_of(const std::string& pod_uid, const std::string& container) const {
  const auto own = cpus_->cpus_of(pod_uid, container);
  return {own.begin(), own.end()};
}

std::vector<pod_resources::Device> PodResourceSource::allocatable_devices() const {
  return told(devices_.allocatable_devices());
}

std::vector<int64_t> PodResourceSource::allocatable_cpus() const {
  const auto all = cpus_->allocatable_cpus();
  return {all.begin(), all.end()};
}

}  // namespace keelson::cli
