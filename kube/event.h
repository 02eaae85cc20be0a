// SPDX-License-Identifier: Apache-2.0
// Something that happened to an object, told to people (core/v1 Event).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kube/meta.h"

namespace keelson::kube {

/// Which object, or which part of one: field_path is "spec.containers{web}" for a container.
struct ObjectReference {
  std::string kind;
  std::string ns;
  std::string name;
  std::string uid;
  std::string api_version;
  std::string resource_version;
  std::string field_path;
  bool operator==(const ObjectReference&) const = default;
};

/// One kind of happening; repeats raise `count` and move `last_timestamp`.
struct Event {
  ObjectMeta metadata;
  ObjectReference involved_object;
  std::string reason;   ///< CamelCase, for machines: "Unhealthy".
  std::string message;  ///< For people.
  std::string source_component;
  std::string source_host;
  std::string reporting_component;  ///< As events.k8s.io has the source.
  std::string reporting_instance;
  std::optional<WallTime> first_timestamp;
  std::optional<WallTime> last_timestamp;
  int32_t count = 1;
  std::string type = "Normal";  ///< "Normal" or "Warning".
  bool operator==(const Event&) const = default;
};

}  // namespace keelson::kube
