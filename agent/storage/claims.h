// SPDX-License-Identifier: Apache-2.0
// What a volume of a pod really is: its claim, and the volume that this is bound to.
#pragma once

#include <string>

#include "agent/cluster/api_call.h"
#include "kube/persistent_volume.h"
#include "kube/pod.h"

namespace keelson::storage {

/// The source of a pod's volume. A volume without a claim looks like a bound one.
struct BoundVolume {
  std::string name;  ///< In paths and events: the PersistentVolume's, or, without a claim, the pod's own.
  kube::PersistentVolume volume;
  bool read_only = false;              ///< Whatever a container asks for.
  bool ephemeral = false;              ///< A CSI driver makes it for this pod.
  kube::Quantity claim_capacity = {};  ///< What its claim has; zero without one.
};

/// Asks the API about `volume` of `pod`. Errors are the kubelet's: error processing PVC default/data: PVC is not bound.
Task<BoundVolume> bound_volume(Loop& loop, agent::ApiCall call, kube::Pod pod, kube::Volume volume);

}  // namespace keelson::storage
