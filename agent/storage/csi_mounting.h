// SPDX-License-Identifier: Apache-2.0
// The inside of CsiVolumes, shared by a volume's way to its pod (csi_volumes.cpp), what its driver is asked for it
// (csi_publish.cpp) and its way back (csi_give_back.cpp).
#pragma once

#include <memory>
#include <string>

#include "agent/storage/csi_capability.h"
#include "agent/storage/csi_volumes.h"
#include "agent/storage/names.h"

namespace keelson::storage {

/// Where a volume is staged, for all pods of the node.
inline std::string globalmount(const std::string& root, const CsiRecord& record) {
  return device_dir(root, record.driver, record.handle) + "/globalmount";
}
/// Where a pod's volume has its record, and is published in "mount".
inline std::string pod_folder(const std::string& root, const std::string& uid, const CsiRecord& record) {
  return volumes_dir(root, uid, "csi", record.name);
}

inline void fill(google::protobuf::Map<std::string, std::string>& map, const kube::StringMap& from) {
  for (const auto& [key, value] : from) {
    map[key] = value;
  }
}

/// One volume of one pod, on its way.
struct CsiVolumes::Mounting {
  kube::Pod pod;
  BoundVolume bound;
  kube::CsiDriver rules;
  std::shared_ptr<RegisteredDriver> driver;
  CsiRecord record;
  kube::StringMap publish_context;

  const kube::CsiPersistentVolume& source() const { return *bound.volume.csi; }
  bool stages() const {
    return !bound.ephemeral && driver->can(csi::v1::NodeServiceCapability::RPC::STAGE_UNSTAGE_VOLUME);
  }
  csi::v1::VolumeCapability capability() const {
    return capability_of(bound, *driver, pod.spec.security_context.fs_group);
  }
};

}  // namespace keelson::storage
