// SPDX-License-Identifier: Apache-2.0
// Which devices there are, and who has them. No I/O, no plugin: what is on disk and who is asked is others' business.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/node/resources.h"
#include "common/result.h"
#include "kube/quantity.h"

namespace keelson::devices {

using Ids = std::set<std::string>;

/// As its plugin tells of it.
struct Device {
  std::string id;
  bool healthy = false;
  std::vector<int64_t> numa_nodes;  ///< Empty: its plugin does not say.
};

/// The kubelet's word for "of no NUMA node" in what it keeps.
inline constexpr int64_t kNoNumaNode = -1;

/// What a container has of one resource.
struct Assignment {
  std::map<int64_t, std::vector<std::string>> devices;  ///< By NUMA node; a device of several is there several times.
  std::string response;                                 ///< The plugin's ContainerAllocateResponse, as its bytes.
  Ids ids() const;
  bool operator==(const Assignment&) const = default;
};
using ContainerDevices = std::map<std::string, Assignment>;  ///< By resource.
using PodDevices = std::map<std::string, ContainerDevices>;  ///< By container.
using AssignedDevices = std::map<std::string, PodDevices>;   ///< By the pod's uid.
using ResourceIds = std::map<std::string, Ids>;              ///< By resource.

/// One container's wish of one resource.
struct Wish {
  std::string pod;  ///< Its uid.
  std::string container;
  std::string resource;
  int64_t count = 0;
};

/// How a wish can be met.
struct Choice {
  Ids taken;        ///< Of the pod's earlier init containers.
  Ids available;    ///< Healthy ones that nobody has.
  size_t left = 0;  ///< How many of the available are to be taken.
  /// `preferred` first, as far as they are available; then in order of their names.
  Ids complete(const Ids& preferred) const;
};

class Inventory {
 public:
  // ---- Devices
  /// A resource that plugins have told of in an earlier life: there are none of it until one registers again.
  void expect(const std::string& resource);
  /// All devices of the resource.
  void listed(const std::string& resource, const std::vector<Device>& devices);
  /// Nobody tells of it any more: all its devices count as unhealthy.
  void stopped(const std::string& resource);
  /// It has been so for long enough: the node has none of it.
  void removed(const std::string& resource);
  bool is_registered(const std::string& resource) const { return resources_.contains(resource); }
  /// Resources of plugins, those aside that were removed and are not in use: who wants some is judged here.
  std::set<std::string> resources() const;
  /// What a Node's status has; of what was removed, zero.
  agent::DeviceResources totals() const;
  /// By resource: the names of healthy ones.
  ResourceIds healthy() const;
  std::vector<int64_t> numa_nodes(const std::string& resource, const std::string& id) const;

  // ---- Assignments
  const AssignedDevices& assigned() const { return assigned_; }
  void restore(AssignedDevices assigned) { assigned_ = std::move(assigned); }
  /// nullptr: none.
  const PodDevices* of(const std::string& pod) const;
  /// All that the pod has, in place of what it had.
  void assign(const std::string& pod, PodDevices devices);
  /// False: it had nothing.
  bool release(const std::string& pod) { return assigned_.erase(pod) > 0; }
  /// Somebody is about to have these; until unhold().
  void hold(const std::string& resource, const Ids& ids);
  void unhold(const std::string& resource, const Ids& ids);

  /// Whether what a container was given before the machine started anew is still to be had: the kubelet's checks, in
  /// its words.
  Result<> check_kept(const std::string& resource, const Ids& kept) const;
  /// What the wish can be met by; `reusable` are devices that earlier init containers of the pod need no more. The
  /// errors are the kubelet's.
  Result<Choice> choose(const Wish& wish, const Ids& reusable) const;
  /// Those that make the choice come true, by NUMA node.
  Assignment describe(const std::string& resource, const Ids& ids, std::string response) const;

 private:
  using Devices = std::map<std::string, Device>;
  Ids in_use(const std::string& resource) const;
  Result<Ids> usable(const std::string& resource) const;

  std::map<std::string, Devices> resources_;
  std::set<std::string> removed_;
  AssignedDevices assigned_;
  std::map<std::string, std::multiset<std::string>> held_;
};

}  // namespace keelson::devices
