// SPDX-License-Identifier: Apache-2.0
// Devices of device plugins (kubelet pkg/kubelet/cm/devicemanager, API deviceplugin v1beta1).
//
//   plugin --Register--> <root>/device-plugins/kubelet.sock    or by a socket in plugins_registry (agent/plugins)
//   plugin <--ListAndWatch-- Endpoint --> Inventory --totals--> the Node's capacity and allocatable
//   pod --allot()--> Inventory chooses --Allocate--> plugin --> kubelet_internal_checkpoint --> the pod may begin
//
// A plugin whose stream ends has unhealthy devices, for five minutes; then the node has none of the resource. Devices
// are a pod's until none of its containers runs any more, whatever becomes of the plugin or of this process.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/config/allotments.h"
#include "agent/node/resources.h"
#include "agent/plugins/plugin_watcher.h"
#include "common/loop.h"
#include "common/stats.h"

namespace keelson::devices {

struct DevicesOptions {
  std::string root;     ///< The agent's; device-plugins/ is below it.
  std::string boot_id;  ///< Of the machine; empty: not known, and devices are taken to be as they were.
  /// totals() or resources() may have changed; on the loop.
  std::function<void()> changed = [] {};
};

/// A device, as others are told of it (the kubelet's podresources).
struct DeviceUse {
  std::string resource;
  std::string id;
  std::vector<int64_t> numa_nodes;  ///< Empty: its plugin does not say.
  bool operator==(const DeviceUse&) const = default;
};

/// Belongs to the agent's loop.
class Devices : public agent::Allotter, public plugins::PluginHandler {
 public:
  /// What pods have is read from the disk; what cannot be read is told, and forgotten.
  Devices(Loop& loop, DevicesOptions options);
  ~Devices() override;

  /// Makes the folder, removes the sockets in it, as a sign to plugins that they are to register again, and takes
  /// registrations; until cancelled.
  Task<> run();
  /// Once run() has ended and nobody waits for allot() or prepare_container(); before it goes.
  Task<> close();

  /// Of these pods something is on the node, or will be: what others have is free.
  void retain(const std::set<std::string>& uids);

  /// What the Node's status has of them: a resource whose plugin has gone for good is there with zero. A first life is
  /// one that has found no file of an earlier one.
  agent::DeviceResources totals() const;
  /// Of which allot() says who has how many.
  std::set<std::string> resources() const;
  /// One by one, of each resource.
  std::vector<DeviceUse> devices_of(const std::string& uid, const std::string& container) const;
  /// The healthy ones, whoever has them.
  std::vector<DeviceUse> allocatable_devices() const;
  /// kubelet_device_plugin_registration_total, kubelet_device_plugin_alloc_duration_seconds.
  void collect(Stats& stats) const;

  // agent::Allotter: a refusal's reason is UnexpectedAdmissionError, and its text the kubelet's.
  // prepare_container() makes good what allot() could not know of: a plugin that has registered since.
  Task<std::optional<agent::AllotmentRefusal>> allot(kube::Pod pod) override;
  Task<> prepare_container(kube::Pod pod, std::string container) override;
  agent::ContainerAllotment of(const kube::Pod& pod, const std::string& container) const override;
  void release(const std::string& uid) override;

  // plugins::PluginHandler, of the type "DevicePlugin"; a plugin's name is its resource.
  Task<> plugin_registered(plugins::Plugin plugin) override;
  void plugin_gone(const plugins::Plugin& plugin) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::devices
