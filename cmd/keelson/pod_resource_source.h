// SPDX-License-Identifier: Apache-2.0
// What the podresources API tells, from the agent and from those who give devices and CPUs away.
#pragma once

#include <memory>

#include "agent/agent.h"
#include "agent/cpus/cpu_manager.h"
#include "agent/devices/devices.h"
#include "agent/pod_resources/source.h"

namespace keelson::cli {

class PodResourceSource final : public pod_resources::Source {
 public:
  /// All outlive it; the CPU manager is there before anything is asked.
  PodResourceSource(const agent::Agent& agent, const devices::Devices& devices,
                    const std::unique_ptr<cpus::CpuManager>& cpus)
      : agent_(agent), devices_(devices), cpus_(cpus) {}

  std::vector<kube::Pod> active_pods() const override;
  std::optional<kube::Pod> find_pod(const std::string& ns, const std::string& name) const override;
  std::vector<pod_resources::Device> devices_of(const std::string& pod_uid,
                                                const std::string& container) const override;
  std::vector<int64_t> cpus_of(const std::string& pod_uid, const std::string& container) const override;
  std::vector<pod_resources::Device> allocatable_devices() const override;
  std::vector<int64_t> allocatable_cpus() const override;

 private:
  const agent::Agent& agent_;
  const devices::Devices& devices_;
  const std::unique_ptr<cpus::CpuManager>& cpus_;
};

}  // namespace keelson::cli
