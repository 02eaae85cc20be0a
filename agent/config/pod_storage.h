// SPDX-License-Identifier: Apache-2.0
// Volumes that outlive pods, or that others make: of claims, of CSI drivers, of NFS servers.
#pragma once

#include <fmt/format.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/loop.h"
#include "kube/pod.h"
#include "metrics/node_use.h"

namespace keelson::agent {

/// How full a volume is, as its driver has told.
struct ToldUse {
  WallTime at{};
  metrics::DiskUse disk = {};
  std::optional<bool> abnormal = {};  ///< Whether something is wrong with it; none: the driver does not tell.
};

/// A volume where it is on the node.
struct MountedVolume {
  std::string path;  ///< A directory, or a file of it; of a block volume the device.
  bool read_only = false;
  bool block = false;
  bool told = false;                ///< Its driver tells how full it is: nobody looks for himself.
  std::optional<ToldUse> use = {};  ///< What it has told; none: not yet.
};
/// By the pod's name of the volume.
using MountedVolumes = std::map<std::string, MountedVolume>;

/// Whether PodStorage mounts it.
inline bool is_of_storage(const kube::Volume& volume) {
  return volume.persistent_volume_claim || volume.ephemeral || volume.csi || volume.nfs;
}

/// The name of the claim that a volume is of; empty: it is of none.
inline std::string claim_of(const kube::Pod& pod, const kube::Volume& volume) {
  if (volume.persistent_volume_claim) {
    return volume.persistent_volume_claim->claim_name;
  }
  return volume.ephemeral ? pod.metadata.name + "-" + volume.name : "";
}

/// In the words of a FailedMount event: MountVolume.SetUp failed for volume "x" : why.
inline Error mount_error(const Error& error, std::string_view volume, std::string_view step = "SetUp") {
  return Error(error.kind(), fmt::format("MountVolume.{} failed for volume \"{}\" : {}", step, volume, error.message()),
               error.code());
}

/// All calls on the agent's loop; calls about one pod do not overlap.
class PodStorage {
 public:
  virtual ~PodStorage() = default;
  /// All of the pod's volumes that are is_of_storage(); idempotent. The error is the text of a FailedMount event; the
  /// caller tries again.
  virtual Task<MountedVolumes> mount(kube::Pod pod) = 0;
  /// The reverse, by uid alone; idempotent. Until it succeeds a volume may still be in use here.
  virtual Task<> unmount(std::string uid) = 0;
};

}  // namespace keelson::agent
