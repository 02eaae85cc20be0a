// SPDX-License-Identifier: Apache-2.0
// Local volumes: a folder of the node, or a disk of it, as a file system or as it is (kubelet pkg/volume/local).
//
//   <root>/plugins/kubernetes.io/local-volume/mounts/<volume>              a disk's file system, for all pods that have
//   it <root>/pods/<uid>/volumes/kubernetes.io~local-volume/<volume>          the same, or the folder, for one pod
//   <root>/plugins/kubernetes.io~local-volume/volumeDevices/<volume>/<uid> the device of a pod, held by a loop device
//   <root>/pods/<uid>/volumeDevices/kubernetes.io~local-volume/<volume>    a link to it
//
// What is of a pod is made first and goes last: so whoever is killed when, what is to be undone is known by it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "agent/config/pod_storage.h"
#include "agent/config/volume_stats.h"
#include "agent/storage/claims.h"
#include "agent/storage/format.h"

namespace keelson::storage {

/// Thread-safe; calls block on disks. Pods that share a volume take turns.
class LocalVolumes {
 public:
  /// `root` is the agent's state folder. `run`: who runs mkfs, fsck and mount. `stats` is told of each unmount.
  explicit LocalVolumes(std::string root, Runner run = run_command,
                        std::shared_ptr<agent::VolumeStats> stats = std::make_shared<agent::VolumeStats>())
      : root_(std::move(root)), run_(std::move(run)), stats_(std::move(stats)) {}

  /// Idempotent. The error is the text of a FailedMount event.
  Result<agent::MountedVolume> mount(const kube::Pod& pod, const BoundVolume& bound);
  /// Of a mounted volume: its file system grows with its disk. Folders, and devices as they are, have nothing to grow.
  Result<> grow(const std::string& uid, const BoundVolume& bound);
  /// All of this pod; a disk that no other pod has is unmounted, too. Idempotent.
  Result<> unmount(const std::string& uid);
  /// Disks that are mounted, and devices that are held, for no pod: somebody was killed.
  Result<> tidy();

 private:
  Result<agent::MountedVolume> mount_file_system(const kube::Pod& pod, const BoundVolume& bound, bool disk);
  Result<agent::MountedVolume> map_device(const kube::Pod& pod, const BoundVolume& bound);
  Result<> unmount_one(const std::string& uid, const std::string& volume);
  Result<> unmount_disk(const std::string& volume);
  Result<> unmap_device(const std::string& uid, const std::string& volume);
  /// Whether a pod other than `uid` has the volume as a file system.
  Result<bool> has_other_users(const std::string& uid, const std::string& volume) const;
  std::string disk_mount(const std::string& volume) const;
  std::string held_device(const std::string& volume, const std::string& uid) const;
  /// Kind::timeout: earlier work on the volume does not end.
  Result<std::unique_lock<std::timed_mutex>> take_turn(const std::string& volume);

  const std::string root_;
  const Runner run_;
  const std::shared_ptr<agent::VolumeStats> stats_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<std::timed_mutex>> turns_;  // by volume; as many as there ever were
};

}  // namespace keelson::storage
