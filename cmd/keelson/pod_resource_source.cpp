// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/pod_resource_source.h"

#include <vector>

namespace keelson::cli {

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

std::vector<pod_resources::Device> PodResourceSource::devices_of(const std::string&, const std::string&) const {
  return {};
}

std::vector<int64_t> PodResourceSource::cpus_of(const std::string&, const std::string&) const {
  return {};
}

std::vector<pod_resources::Device> PodResourceSource::allocatable_devices() const {
  return {};
}

std::vector<int64_t> PodResourceSource::allocatable_cpus() const {
  return {};
}

}  // namespace keelson::cli
