// SPDX-License-Identifier: Apache-2.0
// Who knows what pods have of the node for themselves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kube/pod.h"

namespace keelson::pod_resources {

/// One device of a device plugin.
struct Device {
  std::string resource;  ///< "vendor.com/gpu"
  std::string id;
  std::vector<int64_t> numa_nodes;  ///< Near these; empty: its plugin does not say.
};

/// Asked on the agent's loop; answers at once.
class Source {
 public:
  virtual ~Source() = default;
  /// All whose phase is not final.
  virtual std::vector<kube::Pod> active_pods() const = 0;
  /// Whatever its phase.
  virtual std::optional<kube::Pod> find_pod(const std::string& ns, const std::string& name) const = 0;
  virtual std::vector<Device> devices_of(const std::string& pod_uid, const std::string& container) const = 0;
  /// Those that no other container runs on; empty: none.
  virtual std::vector<int64_t> cpus_of(const std::string& pod_uid, const std::string& container) const = 0;
  /// The healthy ones, in use or not.
  virtual std::vector<Device> allocatable_devices() const = 0;
  /// Those that a container could have for itself, in use or not.
  virtual std::vector<int64_t> allocatable_cpus() const = 0;
};

}  // namespace keelson::pod_resources
