// SPDX-License-Identifier: Apache-2.0
// The CSI drivers that have registered with this node.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "agent/plugins/plugin_watcher.h"
#include "agent/storage/csi_client.h"
#include "agent/storage/csi_node_object.h"
#include "common/task_group.h"

namespace keelson::storage {

using Capability = csi::v1::NodeServiceCapability::RPC::Type;

/// Whoever works with one keeps a share of it: it may go any time.
struct RegisteredDriver {
  RegisteredDriver(Loop& loop, const std::string& socket) : client(loop, socket) {}
  CsiClient client;
  std::set<Capability> capabilities;
  bool can(Capability what) const { return capabilities.contains(what); }
};

/// Belongs to one loop.
class CsiDrivers : public plugins::PluginHandler {
 public:
  /// `registered` is called once a driver can be used. `node` outlives it.
  CsiDrivers(Loop& loop, CsiNodeObject& node, std::function<void(const std::string& name)> registered);

  /// Kind::unavailable: no driver of this name has registered.
  Result<std::shared_ptr<RegisteredDriver>> find(const std::string& name) const;

  Task<> plugin_registered(plugins::Plugin plugin) override;
  void plugin_gone(const plugins::Plugin& plugin) override;
  Task<> close();

 private:
  Loop& loop_;
  CsiNodeObject& node_;
  const std::function<void(const std::string&)> registered_;
  std::map<std::string, std::shared_ptr<RegisteredDriver>> drivers_;
  TaskGroup tasks_;
};

}  // namespace keelson::storage
