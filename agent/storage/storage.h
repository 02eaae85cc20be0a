// SPDX-License-Identifier: Apache-2.0
// The volumes of a cluster's node put together: claims, what they are bound to, drivers and their registration.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "agent/config/pod_storage.h"
#include "kube/client/client.h"

namespace keelson::storage {

struct StorageOptions {
  std::string root;  ///< The agent's: pods/, plugins/ and plugins_registry/ are below it.
  std::string node_name;
  /// As a Node's status.volumesInUse has it; on the loop.
  std::function<void(std::set<std::string>)> in_use;
};

/// Belongs to the agent's loop; `client`, which is the agent's, outlives it.
class Storage : public agent::PodStorage {
 public:
  Storage(kube::Client& client, StorageOptions options);
  ~Storage() override;

  /// Takes drivers that register; until cancelled.
  Task<> run();
  /// Once run(), and every mount() and unmount(), has ended; before it goes.
  Task<> close();

  Task<agent::MountedVolumes> mount(kube::Pod pod) override;
  Task<> unmount(std::string uid) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::storage
