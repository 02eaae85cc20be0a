// SPDX-License-Identifier: Apache-2.0
// Volumes that a controller has made larger: their file systems follow, while pods run and when they are mounted, and
// their claims are told (kubelet NodeExpandVolume).
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "agent/cluster/api_call.h"
#include "agent/storage/claim_growth.h"
#include "agent/storage/held_volume.h"
#include "agent/storage/keyed_turns.h"
#include "common/task_group.h"

namespace keelson::storage {

struct VolumeGrowthOptions {
  std::string node_name;
  /// Makes a volume larger that is a local one or a CSI driver's, and mounted. An error: it was cancelled.
  std::function<Task<Growing>(SharedHeldVolume volume, int64_t bytes)> grow;
  Record record;
};

/// Belongs to one loop.
class VolumeGrowth {
 public:
  /// `held` outlives it.
  VolumeGrowth(Loop& loop, agent::ApiCall call, const HeldVolumes& held, VolumeGrowthOptions options);

  /// Of a volume that has just been mounted, and is none of `held` yet. The error is the text of a FailedMount event;
  /// until it is none the pod must not have the volume.
  Task<> at_mount(SharedHeldVolume volume);
  /// Looks at all that is held each minute, until cancelled. Volumes do not wait for one another.
  Task<> run();
  /// Forgets what it knew of volumes that nobody holds any more.
  void forget_unheld();
  Task<> close() { return tasks_.close(); }

 private:
  Task<> look(SharedHeldVolume volume);
  Task<bool> expand(SharedHeldVolume volume, kube::PersistentVolumeClaim claim, kube::Quantity volume_size);
  Task<bool> not_grown(SharedHeldVolume volume, kube::PersistentVolumeClaim claim, ClaimGrowth growth, Growing how);
  Task<kube::PersistentVolumeClaim> read_claim(SharedHeldVolume volume);
  Task<kube::PersistentVolumeClaim> patch(kube::PersistentVolumeClaim claim, std::string body);
  void tell(const HeldVolume& volume, agent::EventType type, const char* reason, const std::string& message) const;

  Loop& loop_;
  const agent::ApiCall call_;
  const HeldVolumes& held_;
  const VolumeGrowthOptions options_;
  KeyedTurns turns_;                             // by volume, as all below
  std::map<std::string, kube::Quantity> sizes_;  // what this node has each grown to, or found
  std::set<std::string> in_use_;                 // Growing::End::in_use
  std::set<std::string> failed_;                 // Growing::End::failed
  std::set<std::string> looked_at_;              // at this moment
  TaskGroup tasks_;
};

}  // namespace keelson::storage
