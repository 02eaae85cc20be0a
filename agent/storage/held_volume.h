// SPDX-License-Identifier: Apache-2.0
// What pods have mounted at this moment, for those who look after volumes meanwhile.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "agent/event_recorder.h"
#include "agent/storage/claims.h"

namespace keelson::storage {

/// One volume of one pod, from when it is mounted until it is given back.
struct HeldVolume {
  kube::ObjectMeta pod;
  std::string name;  ///< The pod's of it.
  BoundVolume bound;
};
using SharedHeldVolume = std::shared_ptr<const HeldVolume>;

/// By the pod's uid, and its name of the volume. Belongs to one loop.
using HeldVolumes = std::map<std::pair<std::string, std::string>, SharedHeldVolume>;

/// An event about an object; called on the agent's loop.
using Record = std::function<void(kube::ObjectReference about, agent::EventType type, std::string_view reason,
                                  std::string message)>;

/// How an event names an object.
inline kube::ObjectReference reference_to(const char* kind, const std::string& ns, const std::string& name,
                                          const std::string& uid) {
  return {
      .kind = kind, .ns = ns, .name = name, .uid = uid, .api_version = "v1", .resource_version = {}, .field_path = {}};
}

}  // namespace keelson::storage
