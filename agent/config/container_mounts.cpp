// SPDX-License-Identifier: Apache-2.0
// What a container gets of its pod's volumes: mounts, and devices.
#include <algorithm>

#include "agent/config/handler_features.h"
#include "agent/config/node_pod_configs_state.h"
#include "agent/config/volume_mounts.h"

namespace keelson::agent {

Result<MountedVolume> NodePodConfigs::State::volume_of(const kube::Pod& pod, const std::string& name,
                                                       const kube::Container& container) const {
  const auto volume = std::ranges::find(pod.spec.volumes, name, &kube::Volume::name);
  if (volume == pod.spec.volumes.end()) {
    return fail(Kind::invalid, "cannot find volume \"{}\" to mount into container \"{}\"", name, container.name);
  }
  if (!is_of_storage(*volume)) {
    return MountedVolume{
        .path = volumes.path_of(pod, *volume), .read_only = is_of_objects(*volume), .of_pods = !volume->host_path};
  }
  const auto given = mounted.find(pod.metadata.uid);
  if (given == mounted.end() || !given->second.contains(name)) {
    return fail(Kind::conflict, "volume \"{}\" is not mounted yet", name);
  }
  return given->second.at(name);
}

/// What of a volume is mounted; empty: all of it.
Result<std::string> NodePodConfigs::State::sub_path_of(const kube::VolumeMount& wanted, const Environment& env) const {
  if (wanted.sub_path_expr.empty()) {
    return wanted.sub_path;
  }
  return expand_sub_path(wanted.sub_path_expr, {env.begin(), env.end()});
}

/// Of a volume of the node, or of an image that the runtime has.
Result<cri::Mount> NodePodConfigs::State::mount_of(const ContainerOrder& order, const kube::Container& container,
                                                   size_t number, const Environment& env) const {
  const auto& wanted = container.volume_mounts[number];
  cri::Mount mount{.container_path = wanted.mount_path, .read_only = wanted.read_only};
  KEELSON_TRY(const auto below, sub_path_of(wanted, env));
  if (const auto* image = kube::find_image_volume(order.pod.spec, wanted.name)) {
    const auto given = order.image_volumes.find(wanted.name);
    if (given == order.image_volumes.end()) {
      return fail(Kind::conflict, "image volume \"{}\" is not pulled yet", wanted.name);
    }
    mount.read_only = true;
    mount.image = given->second;
    mount.user_specified_image = image->reference;
    mount.image_sub_path = below;
    return mount;
  }
  KEELSON_TRY(const auto volume, volume_of(order.pod, wanted.name, container));
  if (volume.block) {
    return fail(Kind::invalid, "volume {} has volumeMode Block, but is specified in volumeMounts", wanted.name);
  }
  mount.host_path = volume.path;
  mount.read_only = mount.read_only || volume.read_only;
  if (options.selinux && volume.of_pods) {
    KEELSON_TRY(mount.selinux_relabel, keeps_labels(volume.path));
  }
  if (!below.empty()) {
    KEELSON_TRY(mount.host_path,
                volumes.sub_path(order.pod, mount.host_path, wanted.name, container.name, number, below));
  }
  return mount;
}

Result<> NodePodConfigs::State::add_mounts(const ContainerOrder& order, const kube::Container& container,
                                           const Environment& env, cri::ContainerConfig& out) const {
  for (size_t i = 0; i < container.volume_mounts.size(); ++i) {
    const auto& wanted = container.volume_mounts[i];
    KEELSON_TRY(auto mount, mount_of(order, container, i, env));
    switch (wanted.mount_propagation.value_or(kube::MountPropagation::none)) {
      case kube::MountPropagation::none:
        break;
      case kube::MountPropagation::host_to_container:
        mount.propagation = cri::Propagation::host_to_container;
        break;
      case kube::MountPropagation::bidirectional:
        mount.propagation = cri::Propagation::bidirectional;
        break;
    }
    KEELSON_TRY(mount.recursive_read_only, resolve_recursive_read_only(wanted, order.recursive_read_only));
    out.mounts.push_back(std::move(mount));
  }
  return {};
}

Result<> NodePodConfigs::State::add_devices(const kube::Pod& pod, const kube::Container& container,
                                            cri::ContainerConfig& out) const {
  for (const auto& wanted : container.volume_devices) {
    KEELSON_TRY(const auto volume, volume_of(pod, wanted.name, container));
    if (!volume.block) {
      return fail(Kind::invalid, "volume {} has volumeMode Filesystem, but is specified in volumeDevices", wanted.name);
    }
    out.devices.push_back({.container_path = wanted.device_path,
                           .host_path = volume.path,
                           .permissions = volume.read_only ? "r" : "mrw"});
  }
  return {};
}

}  // namespace keelson::agent
