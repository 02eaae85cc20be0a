// SPDX-License-Identifier: Apache-2.0
// Two statuses as trees, and their difference.
#include "kube/status_patch.h"

#include <algorithm>
#include <array>

#include "kube/fields_pod.h"
#include "kube/value.h"
#include "kube/writer.h"

namespace keelson::kube {

namespace {

constexpr std::array<std::string_view, 7> kConditions = {
    "PodScheduled",   "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready", kResizePending,
    kResizeInProgress};
// Those that there are only while something holds.
constexpr std::array<std::string_view, 2> kPassing = {kResizePending, kResizeInProgress};

bool same(const Value& a, const Value& b) {
  return print_json(a, false) == print_json(b, false);
}

Value map_of(std::string key, Value value) {
  Value map = Value::of_type(Value::Type::map);
  map.members.push_back({std::move(key), std::move(value)});
  return map;
}

std::string text_of(const Value& map, std::string_view key) {
  const Value* value = map.find(key);
  return value != nullptr ? value->text : "";
}

/// Members that differ; those that only `has` has become null, which takes them away.
Value difference(const Value& has, const Value& says) {
  Value changed = Value::of_type(Value::Type::map);
  for (const Member& member : says.members) {
    const Value* old = has.find(member.key);
    if (old == nullptr || !same(*old, member.value)) {
      changed.members.push_back(member);
    }
  }
  for (const Member& member : has.members) {
    if (says.find(member.key) == nullptr) {
      changed.members.push_back({member.key, Value()});
    }
  }
  return changed;
}

const Value* find_condition(const Value* list, std::string_view type) {
  if (list == nullptr) {
    return nullptr;
  }
  const auto it =
      std::ranges::find_if(list->items, [&](const Value& condition) { return text_of(condition, "type") == type; });
  return it == list->items.end() ? nullptr : &*it;
}

/// Of the node's conditions, those that differ.
Value conditions(const Value* has, const Value* says) {
  Value changed = Value::of_type(Value::Type::list);
  for (const Value& condition : says != nullptr ? says->items : std::vector<Value>()) {
    const std::string type = text_of(condition, "type");
    const bool ours = type == kDisruptionTarget && text_of(condition, "reason") == kTerminationByKubelet;
    if (!is_condition_of_node(type) && !ours) {
      continue;
    }
    const Value* before = find_condition(has, type);
    Value patch = difference(before != nullptr ? *before : Value::of_type(Value::Type::map), condition);
    if (!patch.members.empty()) {
      std::erase_if(patch.members, [](const Member& member) { return member.key == "type"; });
      patch.members.push_back({"type", Value::of_string(type)});
      changed.items.push_back(std::move(patch));
    }
  }
  for (const auto type : kPassing) {
    if (find_condition(has, type) != nullptr && find_condition(says, type) == nullptr) {
      Value gone = map_of("$patch", Value::of_string("delete"));
      gone.members.push_back({"type", Value::of_string(std::string(type))});
      changed.items.push_back(std::move(gone));
    }
  }
  return changed;
}

/// A list that the API merges by a key, as one that is replaced.
Value replaced(const Value& list) {
  Value whole = Value::of_type(Value::Type::list);
  whole.items.push_back(map_of("$patch", Value::of_string("replace")));
  whole.items.insert(whole.items.end(), list.items.begin(), list.items.end());
  return whole;
}

Value tree_of(PodStatus status) {
  status.qos_class.reset();
  return write_value(status);
}

}  // namespace

bool is_condition_of_node(std::string_view type) {
  return std::ranges::find(kConditions, type) != kConditions.end();
}

std::optional<std::string> status_patch(std::string_view uid, const PodStatus& has, const PodStatus& says) {
  Value old = tree_of(has);
  Value now = tree_of(says);
  Value changed_conditions = conditions(old.find("conditions"), now.find("conditions"));
  for (Value* tree : {&old, &now}) {
    std::erase_if(tree->members, [](const Member& member) { return member.key == "conditions"; });
  }
  Value changed = difference(old, now);
  for (Member& member : changed.members) {
    if ((member.key == "podIPs" || member.key == "hostIPs") && member.value.type == Value::Type::list) {
      member.value = replaced(member.value);
    }
  }
  if (!changed_conditions.items.empty()) {
    changed.members.push_back({"conditions", std::move(changed_conditions)});
  }
  if (changed.members.empty()) {
    return std::nullopt;
  }
  Value patch = map_of("metadata", map_of("uid", Value::of_string(std::string(uid))));
  patch.members.push_back({"status", std::move(changed)});
  return print_json(patch, false);
}

}  // namespace keelson::kube
