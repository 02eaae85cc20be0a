// SPDX-License-Identifier: Apache-2.0
// The CSINode: which drivers a node has, for the scheduler, the attachers and the provisioners (storage.k8s.io/v1).
#pragma once

#include <functional>
#include <string>

#include "agent/cluster/api_call.h"
#include "agent/storage/keyed_turns.h"
#include "kube/persistent_volume.h"

namespace keelson::storage {

/// Belongs to one loop. One change at a time; what others changed meanwhile is kept.
class CsiNodeObject {
 public:
  CsiNodeObject(Loop& loop, agent::ApiCall call, std::string node_name);

  /// The driver as it is now; its topology becomes labels of the Node. The object is made if it is not there.
  Task<> put(kube::CsiNodeDriver driver, kube::StringMap topology);
  Task<> remove(std::string driver);

 private:
  /// Nothing if there is none.
  Task<std::optional<kube::CsiNode>> read();
  Task<> write(kube::CsiNode node, bool is_new);
  /// Again, a few times, where others have changed the object meanwhile.
  Task<> retried(std::function<Task<>()> change);
  Task<> put_once(kube::CsiNodeDriver driver);
  Task<> remove_once(std::string driver);
  Task<> label(kube::StringMap labels);

  const agent::ApiCall call_;
  const std::string node_name_;
  KeyedTurns turns_;  // of one key: one change at a time
};

}  // namespace keelson::storage
