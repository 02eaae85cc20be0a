// SPDX-License-Identifier: Apache-2.0
// Volumes of CSI drivers: attached by others, staged once a node, published once a pod, and all of it undone
// (kubelet pkg/volume/csi; CSI 1.x, Node service).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "agent/config/pod_storage.h"
#include "agent/config/volume_stats.h"
#include "agent/storage/claim_growth.h"
#include "agent/storage/claims.h"
#include "agent/storage/csi_drivers.h"
#include "agent/storage/csi_records.h"
#include "agent/storage/held_volume.h"
#include "agent/storage/keyed_turns.h"
#include "common/task_group.h"

namespace keelson::storage {

struct CsiVolumesOptions {
  std::string root;
  std::string node_name;
  /// A Node's status.volumesInUse, each time it changes: what may not be detached.
  std::function<void(std::set<std::string>)> in_use;
  std::shared_ptr<agent::VolumeStats> volume_stats = std::make_shared<agent::VolumeStats>();
};

/// Belongs to one loop. `drivers` outlives it.
class CsiVolumes {
 public:
  CsiVolumes(Loop& loop, agent::ApiCall call, CsiDrivers& drivers, CsiVolumesOptions options);
  ~CsiVolumes();

  /// Idempotent. Errors are a FailedMount event's, without the name of the pod's volume.
  Task<agent::MountedVolume> mount(kube::Pod pod, BoundVolume bound);
  /// All of this pod. A volume that no other pod has is unstaged, too.
  Task<> unmount(std::string uid);
  /// What is staged of this driver and no pod has: somebody was killed between the two.
  Task<> tidy(std::string driver);
  /// Has the driver make a published volume larger. An error: it was cancelled.
  Task<Growing> grow(SharedHeldVolume volume, int64_t bytes);
  /// Publishes again what its driver wants so, for ever. Drivers do not wait for one another.
  Task<> republish();
  /// Once nothing of this runs any more but what it has begun itself; before it goes.
  Task<> close() { return tasks_.close(); }
  /// Says what was in use before this process began; before the first mount.
  void adopt() { tell_in_use(); }

 private:
  struct Mounting;
  using SharedMounting = std::shared_ptr<Mounting>;

  Task<kube::CsiDriver> rules_of(std::string driver);
  Task<kube::StringMap> secret(std::optional<kube::SecretReference> reference);
  Task<kube::StringMap> attached(std::string attachment);
  Task<> stage(SharedMounting m);
  Task<> publish(SharedMounting m);
  Task<kube::StringMap> tokens(SharedMounting m);
  Task<> republish_of(std::string driver);
  Task<> unpublish(std::string uid, CsiRecord record);
  Task<> unstage(std::shared_ptr<RegisteredDriver> driver, CsiRecord record);
  /// Whether another pod than `uid` has the volume.
  Result<bool> has_other_users(const std::string& uid, const CsiRecord& record) const;
  /// By what is on disk, and who waits for an attachment.
  void tell_in_use();

  Loop& loop_;
  const agent::ApiCall call_;
  CsiDrivers& drivers_;
  const CsiVolumesOptions options_;
  KeyedTurns turns_;
  using PodVolume = std::pair<std::string, std::string>;  // the pod's uid, and CsiRecord::name
  std::map<PodVolume, CsiRecord> waiting_;                // for their attachment
  std::set<std::string> in_use_;                          // as it was told last
  bool told_ = false;
  std::set<std::string> staged_;  // by unique_name(), by this process
  std::map<PodVolume, SharedMounting> republished_;
  std::set<std::string> republishing_;  // drivers that are asked to at this moment
  TaskGroup tasks_;
  asio::thread_pool pool_{2};  // for what walks through files
};

}  // namespace keelson::storage
