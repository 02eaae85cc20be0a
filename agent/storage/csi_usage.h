// SPDX-License-Identifier: Apache-2.0
// How full, and how well, drivers say that their volumes are (CSI NodeGetVolumeStats; KEP-1432).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "agent/config/pod_storage.h"
#include "agent/storage/csi_drivers.h"
#include "agent/storage/held_volume.h"
#include "common/task_group.h"

namespace keelson::storage {

struct CsiUsageOptions {
  std::string root;     ///< The agent's.
  bool health = false;  ///< What drivers say of a volume's health is asked for, too (the gate CSIVolumeHealth).
  Record record;
};

/// Asks in the background, and only remembers: a driver that does not answer holds up nobody, other volumes of its own
/// neither. Belongs to one loop.
class CsiUsage {
 public:
  /// `drivers` and `held` outlive it.
  CsiUsage(Loop& loop, const CsiDrivers& drivers, const HeldVolumes& held, CsiUsageOptions options);

  /// Asks for one of `held` now, unless it is being asked for.
  void ask(SharedHeldVolume volume);
  /// Asks for all of them each minute (volumeStatsAggPeriod), until cancelled.
  Task<> run();
  /// What was said of volumes that are not held any more is forgotten.
  void forget_unheld();
  /// Tells what is known of one; MountedVolume::told.
  void tell(const HeldVolume& volume, agent::MountedVolume& mounted) const;
  Task<> close() { return tasks_.close(); }

 private:
  using Key = HeldVolumes::key_type;
  /// The driver, if it tells.
  std::shared_ptr<RegisteredDriver> teller_of(const HeldVolume& volume) const;
  Task<> ask_once(Key key, SharedHeldVolume volume, std::shared_ptr<RegisteredDriver> driver);
  void take(const Key& key, const HeldVolume& volume, const RegisteredDriver& driver,
            const csi::v1::NodeGetVolumeStatsResponse& answer);

  Loop& loop_;
  const CsiDrivers& drivers_;
  const HeldVolumes& held_;
  const CsiUsageOptions options_;
  std::map<Key, agent::ToldUse> told_;
  std::set<Key> asked_;  // at this moment
  TaskGroup tasks_;
};

}  // namespace keelson::storage
