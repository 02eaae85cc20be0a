// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/csi_capability.h"

#include <algorithm>

namespace keelson::storage {

namespace {

using Mode = csi::v1::VolumeCapability::AccessMode;
using RpcType = csi::v1::NodeServiceCapability::RPC;

Mode::Mode mode_of(kube::AccessMode mode, bool tells_writers_apart) {
  switch (mode) {
    case kube::AccessMode::read_write_once:
      return tells_writers_apart ? Mode::SINGLE_NODE_MULTI_WRITER : Mode::SINGLE_NODE_WRITER;
    case kube::AccessMode::read_only_many:
      return Mode::MULTI_NODE_READER_ONLY;
    case kube::AccessMode::read_write_many:
      return Mode::MULTI_NODE_MULTI_WRITER;
    case kube::AccessMode::read_write_once_pod:
      return tells_writers_apart ? Mode::SINGLE_NODE_SINGLE_WRITER : Mode::SINGLE_NODE_WRITER;
  }
  return Mode::UNKNOWN;
}

}  // namespace

csi::v1::VolumeCapability capability_of(const BoundVolume& bound, const RegisteredDriver& driver,
                                        std::optional<int64_t> mount_group) {
  const auto& volume = bound.volume;
  csi::v1::VolumeCapability capability;
  const auto mode = volume.access_modes.empty() ? kube::AccessMode::read_write_once : volume.access_modes.front();
  capability.mutable_access_mode()->set_mode(mode_of(mode, driver.can(RpcType::SINGLE_NODE_MULTI_WRITER)));
  if (volume.volume_mode == kube::VolumeMode::block) {
    capability.mutable_block();
    return capability;
  }
  auto* mount = capability.mutable_mount();
  mount->set_fs_type(volume.csi->fs_type);
  for (const auto& option : volume.mount_options) {
    mount->add_mount_flags(option);
  }
  if (mount_group && driver.can(RpcType::VOLUME_MOUNT_GROUP)) {
    mount->set_volume_mount_group(std::to_string(*mount_group));
  }
  return capability;
}

bool is_given_to_group(const BoundVolume& bound, kube::FsGroupPolicy policy, const RegisteredDriver& driver) {
  if (bound.volume.volume_mode == kube::VolumeMode::block || bound.read_only ||
      driver.can(RpcType::VOLUME_MOUNT_GROUP)) {
    return false;
  }
  switch (policy) {
    case kube::FsGroupPolicy::none:
      return false;
    case kube::FsGroupPolicy::file:
      return true;
    case kube::FsGroupPolicy::read_write_once_with_fs_type:
      return !bound.volume.csi->fs_type.empty() &&
             std::ranges::any_of(bound.volume.access_modes, [](kube::AccessMode mode) {
               return mode == kube::AccessMode::read_write_once || mode == kube::AccessMode::read_write_once_pod;
             });
  }
  return false;
}

kube::StringMap pod_info(const kube::Pod& pod, bool ephemeral) {
  return {{"csi.storage.k8s.io/pod.name", pod.metadata.name},
          {"csi.storage.k8s.io/pod.namespace", pod.metadata.ns},
          {"csi.storage.k8s.io/pod.uid", pod.metadata.uid},
          {"csi.storage.k8s.io/serviceAccount.name", pod.spec.service_account_name},
          {"csi.storage.k8s.io/ephemeral", ephemeral ? "true" : "false"}};
}

}  // namespace keelson::storage
