// SPDX-License-Identifier: Apache-2.0
// For tests: what pods get of a node that has next to nothing.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/pod_configs.h"

namespace keelson::agent {

/// Pods have credentials by their namespaces, and handlers by their RuntimeClasses.
class FakePodConfigs : public PodConfigs {
 public:
  void objects_changed(const kube::DesiredState&) override {}
  Task<> prepare(kube::Pod) override { co_return Result<>(); }
  Task<> resize(kube::Pod, Resizing) override { co_return Result<>(); }
  Task<> release(kube::Pod) override { co_return Result<>(); }
  Task<> clean_up(kube::Pod) override { co_return Result<>(); }
  Result<std::vector<std::string>> prepared() override { return std::vector<std::string>(); }
  std::set<std::string> own_cpus(const kube::Pod&) override { return {}; }
  std::vector<PodWarning> warnings(const kube::Pod&) override { return {}; }
  Result<std::string> handler(const kube::Pod& pod) override { return pod.spec.runtime_class_name.value_or(""); }
  Result<cri::SandboxConfig> sandbox(const kube::Pod&, uint32_t) override { return cri::SandboxConfig(); }
  Task<> prepare_container(kube::Pod, std::string) override { co_return Result<>(); }
  Result<cri::ContainerConfig> container(const ContainerOrder&) override { return cri::ContainerConfig(); }
  Result<cri::LinuxResources> resources(const kube::Pod&, const std::string&) override { return cri::LinuxResources(); }
  void container_created(const ContainerOrder&, const std::string&) override {}
  void container_removed(const std::string&) override {}
  std::string termination_log(const kube::ObjectMeta&, const std::string&, uint32_t) override { return ""; }
  Task<std::vector<cri::AuthConfig>> credentials(kube::Pod pod, std::string) override {
    co_return logins[pod.metadata.ns];
  }

  std::map<std::string, std::vector<cri::AuthConfig>> logins;  ///< By namespace.
};

}  // namespace keelson::agent
