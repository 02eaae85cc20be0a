// SPDX-License-Identifier: Apache-2.0
// The volumes of pods, below <root>/pods/<uid>/volumes/kubernetes.io~<plugin>/<name> as the kubelet has them.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/config/atomic_folder.h"
#include "agent/config/field_values.h"
#include "agent/config/pod_inputs.h"
#include "agent/config/volume_stats.h"
#include "kube/folder/manifest_folder.h"

namespace keelson::agent {

/// Thread-compatible; calls block on mounts and disks.
class Volumes {
 public:
  /// `root` is the agent's state folder; pods/ is below. `stats` is told of each mount and unmount.
  explicit Volumes(std::string root, std::shared_ptr<VolumeStats> stats = std::make_shared<VolumeStats>())
      : root_(std::move(root)), stats_(std::move(stats)) {}

  std::string pod_dir(const std::string& uid) const { return root_ + "/pods/" + uid; }
  /// What its containers have as /etc/hosts.
  std::string hosts_file(const std::string& uid) const { return pod_dir(uid) + "/etc-hosts"; }
  /// Where a volume is on the node; a hostPath is its own path.
  std::string path_of(const kube::Pod& pod, const kube::Volume& volume) const;

  /// Makes every volume of the pod; those that are there are brought up to date. Idempotent. The error is a FailedMount
  /// event's text: MountVolume.SetUp failed for volume "x": ... `tokens`: of the pod; nullptr: nobody gives any.
  Result<> mount_all(const kube::Pod& pod, const kube::DesiredState& objects, const NodeFacts& node,
                     const std::vector<std::string>& pod_ips, const TokenMap* tokens = nullptr) const;
  /// Brings the volumes of ConfigMaps, Secrets and the downward API up to date, and touches no other.
  Result<> refresh(const kube::Pod& pod, const kube::DesiredState& objects, const NodeFacts& node,
                   const std::vector<std::string>& pod_ips, const TokenMap* tokens = nullptr) const;
  /// Unmounts and removes the pod's volumes alone. Never deletes through a mount. Absent is success.
  Result<> remove_volumes(const std::string& uid) const;
  /// Unmounts what is mounted below the pod's folder and removes the folder. Never deletes through a mount. Absent is
  /// success.
  Result<> remove_all(const std::string& uid) const;
  /// The pods that have a folder.
  Result<std::vector<std::string>> list() const;

  /// The host path to mount for `sub_path` of a volume: folders that are missing are made with the volume's own
  /// mode; links cannot lead out of the volume. It is pinned by a bind mount below the pod's folder, so that it cannot
  /// be exchanged afterwards.
  Result<std::string> sub_path(const kube::Pod& pod, const std::string& volume_path, const std::string& volume,
                               const std::string& container, size_t index, const std::string& sub_path) const;

 private:
  Result<> mount_one(const kube::Pod& pod, const kube::Volume& volume, const kube::DesiredState& objects,
                     const NodeFacts& node, const std::vector<std::string>& pod_ips, const TokenMap* tokens) const;
  Result<> write_objects(const kube::Pod& pod, const kube::Volume& volume, const kube::DesiredState& objects,
                         const NodeFacts& node, const std::vector<std::string>& pod_ips, const TokenMap* tokens) const;
  Result<> remove_each(const std::string& uid) const;
  std::string root_;
  std::shared_ptr<VolumeStats> stats_;
};

/// The names of the volumes that a container mounts, or has as a device. The others are passed over, as by the kubelet:
/// nobody waits for them, nor is told of them.
std::set<std::string> used_volumes(const kube::PodSpec& spec);
/// The pod with those alone.
kube::Pod with_used_volumes(kube::Pod pod);

/// A volume that is made of objects' values: configMap, secret, downwardAPI, projected. Containers get it read-only.
bool is_of_objects(const kube::Volume& volume);

/// The files of a configMap, secret, downwardAPI or projected volume. Kind::not_found names the object or key that is
/// missing. `tokens`: of the pod; nullptr: nobody gives any.
Result<VolumeFiles> volume_files(const kube::Pod& pod, const kube::Volume& volume, const kube::DesiredState& objects,
                                 const NodeFacts& node, const std::vector<std::string>& pod_ips,
                                 const TokenMap* tokens = nullptr);

}  // namespace keelson::agent
