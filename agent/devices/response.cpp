// SPDX-License-Identifier: Apache-2.0
#include "agent/devices/response.h"

#include <algorithm>

#include "agent/devices/proto/device_plugin.pb.h"

namespace keelson::devices {

namespace {

bool has_path(const auto& list, const std::string& path) {
  return std::ranges::any_of(list, [&](const auto& item) { return item.container_path == path; });
}

void add(const v1beta1::ContainerAllocateResponse& response, agent::ContainerAllotment& out) {
  for (const auto& [name, value] : std::map<std::string, std::string>(response.envs().begin(), response.envs().end())) {
    if (std::ranges::none_of(out.envs, [&](const auto& env) { return env.first == name; })) {
      out.envs.emplace_back(name, value);
    }
  }
  for (const auto& mount : response.mounts()) {
    if (!has_path(out.mounts, mount.container_path())) {
      out.mounts.push_back(
          {.container_path = mount.container_path(), .host_path = mount.host_path(), .read_only = mount.read_only()});
    }
  }
  for (const auto& device : response.devices()) {
    if (!has_path(out.devices, device.container_path())) {
      out.devices.push_back({.container_path = device.container_path(),
                             .host_path = device.host_path(),
                             .permissions = device.permissions()});
    }
  }
  for (const auto& [name, value] : response.annotations()) {
    out.annotations.emplace(name, value);
  }
  for (const auto& device : response.cdi_devices()) {
    if (std::ranges::find(out.cdi_devices, device.name()) == out.cdi_devices.end()) {
      out.cdi_devices.push_back(device.name());
    }
  }
}

}  // namespace

agent::ContainerAllotment allotment_of(const ContainerDevices& devices) {
  agent::ContainerAllotment out;
  for (const auto& [resource, assignment] : devices) {
    v1beta1::ContainerAllocateResponse response;
    if (response.ParseFromString(assignment.response)) {
      add(response, out);
    }
  }
  return out;
}

}  // namespace keelson::devices
