// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/object_store.h"

#include <fmt/format.h>

namespace keelson::simulation {

std::string meta_text(const json::object& object, std::string_view field) {
  const auto* meta = object.if_contains("metadata");
  const auto* value = meta != nullptr && meta->is_object() ? meta->as_object().if_contains(field) : nullptr;
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : "";
}

json::object& meta_of(json::object& object) {
  auto& meta = object["metadata"];
  if (!meta.is_object()) {
    meta = json::object();
  }
  return meta.as_object();
}

Object ObjectStore::find(const std::string& kind, const std::string& key) const {
  const auto& objects = all(kind);
  auto it = objects.find(key);
  return it == objects.end() ? nullptr : it->second;
}

const Objects& ObjectStore::all(const std::string& kind) const {
  static const Objects kNone;
  auto it = kinds_.find(kind);
  return it == kinds_.end() ? kNone : it->second;
}

Object ObjectStore::put(const std::string& kind, const std::string& key, json::object object) {
  meta_of(object)["resourceVersion"] = std::to_string(++version_);
  auto stored = std::make_shared<const json::object>(std::move(object));
  auto& place = kinds_[kind][key];
  const Change change{version_, key, place, stored};
  place = stored;
  changed(kind, change);
  return stored;
}

void ObjectStore::remove(const std::string& kind, const std::string& key) {
  auto before = find(kind, key);
  if (!before) {
    return;
  }
  kinds_[kind].erase(key);
  changed(kind, {++version_, key, std::move(before), nullptr});
}

std::string ObjectStore::new_uid() {
  return fmt::format("uid-{}", ++uids_);
}

}  // namespace keelson::simulation
