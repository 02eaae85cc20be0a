// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/csi_drivers.h"

#include <algorithm>
#include <limits>

namespace keelson::storage {

CsiDrivers::CsiDrivers(Loop& loop, CsiNodeObject& node, std::function<void(const std::string& name)> registered)
    : loop_(loop), node_(node), registered_(std::move(registered)), tasks_(loop) {}

Result<std::shared_ptr<RegisteredDriver>> CsiDrivers::find(const std::string& name) const {
  const auto found = drivers_.find(name);
  if (found == drivers_.end()) {
    return fail(Kind::unavailable, "driver name {} not found in the list of registered CSI drivers", name);
  }
  return found->second;
}

Task<> CsiDrivers::plugin_registered(plugins::Plugin plugin) {
  if (std::ranges::none_of(plugin.versions, [](const auto& version) {
        return version == "1" || version.starts_with("1.") || version.starts_with("v1");
      })) {
    co_return fail(Kind::unsupported, "CSI driver {} speaks no version 1 of CSI", plugin.name);
  }
  auto driver = std::make_shared<RegisteredDriver>(loop_, plugin.endpoint);
  KEELSON_CO_TRY(const auto info,
                 co_await driver->client.ask(&CsiCalls::NodeGetInfo, csi::v1::NodeGetInfoRequest(), kCsiDeadline));
  KEELSON_CO_TRY(const auto can, co_await driver->client.ask(&CsiCalls::NodeGetCapabilities,
                                                             csi::v1::NodeGetCapabilitiesRequest(), kCsiDeadline));
  for (const auto& capability : can.capabilities()) {
    driver->capabilities.insert(capability.rpc().type());
  }
  kube::CsiNodeDriver entry{
      .name = plugin.name, .node_id = info.node_id(), .topology_keys = {}, .allocatable_count = {}};
  kube::StringMap topology;
  for (const auto& [key, value] : info.accessible_topology().segments()) {
    entry.topology_keys.push_back(key);
    topology[key] = value;
  }
  std::ranges::sort(entry.topology_keys);
  if (info.max_volumes_per_node() > 0) {
    entry.allocatable_count =
        static_cast<int32_t>(std::min<int64_t>(info.max_volumes_per_node(), std::numeric_limits<int32_t>::max()));
  }
  KEELSON_CO_DO(co_await node_.put(std::move(entry), std::move(topology)));
  drivers_[plugin.name] = std::move(driver);
  registered_(plugin.name);
  co_return Result<>();
}

void CsiDrivers::plugin_gone(const plugins::Plugin& plugin) {
  drivers_.erase(plugin.name);
  tasks_.spawn("leave CSI driver " + plugin.name + " out of the CSINode", node_.remove(plugin.name));
}

Task<> CsiDrivers::close() {
  co_return co_await tasks_.close();
}

}  // namespace keelson::storage
