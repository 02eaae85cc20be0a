// SPDX-License-Identifier: Apache-2.0
// The volumes of a cluster's node put together: claims, what they are bound to, drivers.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "agent/config/pod_storage.h"
#include "agent/config/volume_stats.h"
#include "agent/event_recorder.h"
#include "agent/plugins/plugin_watcher.h"
#include "kube/client/client.h"

namespace keelson::storage {

struct StorageOptions {
  std::string root;  ///< The agent's: pods/ and plugins/ are below it.
  std::string node_name;
  bool volume_health = false;  ///< What drivers say of volumes' health is told (the gate CSIVolumeHealth).
  /// As a Node's status.volumesInUse has it; on the loop.
  std::function<void(std::set<std::string>)> in_use;
  /// An event about a pod or a claim; on the loop.
  std::function<void(kube::ObjectReference about, agent::EventType type, std::string_view reason, std::string message)>
      record;
  /// Told of each volume, its mount and unmount.
  std::shared_ptr<agent::VolumeStats> volume_stats = std::make_shared<agent::VolumeStats>();
};

/// Belongs to the agent's loop; `client`, which is the agent's, outlives it.
class Storage : public agent::PodStorage {
 public:
  Storage(kube::Client& client, StorageOptions options);
  ~Storage() override;

  /// Who takes plugins of the type CSIPlugin, for as long as the storage is there.
  plugins::PluginHandler& drivers();
  /// Publishes again what wants to be, has volumes grow, and asks drivers how full theirs are; until cancelled.
  Task<> run();
  /// Adds what drivers have told of a pod's volumes that are mounted, by the pod's names of them. Never waits.
  void tell_use(const std::string& uid, agent::MountedVolumes& mounted) const;
  /// Once run(), and every mount() and unmount(), has ended, and no driver registers any more; before it goes.
  Task<> close();

  Task<agent::MountedVolumes> mount(kube::Pod pod) override;
  Task<> unmount(std::string uid) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::storage
