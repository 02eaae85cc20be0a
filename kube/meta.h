// SPDX-License-Identifier: Apache-2.0
// What every API object carries: its name, labels, owners and times (metav1.ObjectMeta).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"

namespace keelson::kube {

/// How types of this room are made: passive structs, one per API struct, with the API's field names in snake_case.
/// A field the API server defaults to a constant starts out with that constant; std::optional where "not given" means
/// something else than any value; maps and lists where absent and empty are the same. All are plain values: copy
/// freely. Where C++ forbids a name, the field is shortened and says so (`ns`).

/// Labels and annotations alike.
using StringMap = std::map<std::string, std::string>;

/// Who made the object and will take it along when it goes (metav1.OwnerReference).
struct OwnerReference {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;
  std::optional<bool> controller;  ///< True for the one owner that manages the object.
  std::optional<bool> block_owner_deletion;

  bool operator==(const OwnerReference&) const = default;
};

/// metav1.ObjectMeta without managedFields and selfLink, which decode silently and are dropped.
struct ObjectMeta {
  std::string name;
  std::string generate_name;
  std::string ns;   ///< `namespace`; after defaulting never empty for namespaced kinds ("default").
  std::string uid;  ///< Empty in a manifest; its source (API server, or the agent for files) gives it.
  StringMap labels;
  StringMap annotations;
  std::optional<WallTime> creation_timestamp;
  std::optional<WallTime> deletion_timestamp;  ///< Set when deletion has begun; the time by which it shall be done.
  std::optional<int64_t> deletion_grace_period_seconds;
  int64_t generation = 0;  ///< Counts changes of the spec.
  std::string resource_version;
  std::vector<OwnerReference> owner_references;
  std::vector<std::string> finalizers;

  bool operator==(const ObjectMeta&) const = default;
};

/// "default/frontend": how messages and maps name an object; the name alone for a kind without namespaces.
std::string full_name(const ObjectMeta& metadata);

/// A JSON subtree carried word for word (compact text) because no code here reads it, so that printing an object loses
/// nothing. Empty: absent.
struct RawJson {
  std::string json;

  bool operator==(const RawJson&) const = default;
};

}  // namespace keelson::kube
