// SPDX-License-Identifier: Apache-2.0
// The inside of Devices: plugins that come and go (devices.cpp), and pods that are given devices (allotting.cpp).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/devices/devices.h"
#include "agent/devices/endpoint.h"
#include "agent/devices/inventory.h"
#include "agent/devices/registration.h"
#include "common/task_group.h"

namespace keelson::devices {

/// A pod that is being given its devices: while it is there, nobody else has them.
struct Allotting {
  Allotting(Inventory& from, kube::Pod of) : inventory(from), pod(std::move(of)) {}
  ~Allotting() {
    for (const auto& [resource, ids] : held) {
      inventory.unhold(resource, ids);
    }
  }
  Allotting(const Allotting&) = delete;
  Allotting& operator=(const Allotting&) = delete;
  void hold(const std::string& resource, const Ids& ids) {
    inventory.hold(resource, ids);
    held.emplace_back(resource, ids);
  }

  Inventory& inventory;
  const kube::Pod pod;
  PodDevices given;
  ResourceIds reusable;   ///< What init containers had that have ended by the time of the next container.
  bool news = false;      ///< Something of `given` is not on disk yet.
  bool released = false;  ///< The pod has gone meanwhile.
  std::vector<std::pair<std::string, Ids>> held;
};
using SharedAllotting = std::shared_ptr<Allotting>;

struct Devices::State {
  State(Loop& loop, DevicesOptions options);

  // ---- Plugins
  Task<> run();
  void restore();
  Task<> register_plugin(Registration registration);
  Task<> connect(std::string resource, std::string socket);
  void take(std::shared_ptr<Endpoint> endpoint);
  void listed(const std::string& resource, const std::vector<Device>& devices);
  void stopped(const std::string& resource);
  Task<> expire(std::string resource, uint64_t life);
  std::shared_ptr<Endpoint> endpoint_of(const std::string& resource) const;
  /// Of what is known now; nothing is written twice.
  Result<> write();
  void write_or_tell();

  // ---- Pods
  Task<std::optional<agent::AllotmentRefusal>> allot(kube::Pod pod);
  Task<> allot_all(SharedAllotting work);
  Task<> allot_container(SharedAllotting work, kube::Container container, bool ends);
  Task<> allot_resource(SharedAllotting work, Wish wish);
  Result<> keep(const Allotting& work, const Wish& wish, const Assignment& assignment) const;
  Task<Ids> preferred(std::shared_ptr<Endpoint> endpoint, Choice choice, int64_t count);
  Task<> prepare_container(kube::Pod pod, std::string name);
  bool lacks(const std::string& uid, const kube::Container& container) const;
  void release(const std::string& uid);
  /// nullptr: it has none.
  const ContainerDevices* devices_of(const std::string& uid, const std::string& container) const;

  Loop& loop;
  const DevicesOptions options;
  const std::string folder;
  const std::string file;
  Inventory inventory;
  bool first_life = false;                                     // there was no checkpoint
  std::set<std::string> earlier_boot;                          // uids of pods whose devices are to be looked at again
  std::map<std::string, std::weak_ptr<Allotting>> allotting;   // by uid
  std::map<std::string, std::shared_ptr<Endpoint>> endpoints;  // that live, by resource
  std::map<std::string, PluginOptions> plugin_options;         // as last known, by resource
  std::map<std::string, uint64_t> lives;                       // by resource: counts plugins that came and went
  std::string written;                                         // as it is on disk
  CounterVec registrations;
  HistogramVec durations;
  std::unique_ptr<RegistrationServer> server;
  TaskGroup tasks;
};

}  // namespace keelson::devices
