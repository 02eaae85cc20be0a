// SPDX-License-Identifier: Apache-2.0
// The tree's growth, its bounds, aliases and merge keys.
#include "kube/tree_builder.h"

#include <fmt/format.h>

#include <algorithm>

namespace keelson::kube {

bool TreeBuilder::refuse(std::string text) {
  error_ = std::move(text);
  return false;
}

bool TreeBuilder::charge(size_t count, size_t bytes) {
  if (count > budget_.values || bytes > budget_.bytes) {
    return refuse(
        fmt::format("more than {} values or {} bytes in one file, aliases expanded", kMaxValueCount, kMaxExpandedSize));
  }
  budget_.values -= count;
  budget_.bytes -= bytes;
  return true;
}

bool TreeBuilder::open(Value::Type type, Mark at, Anchor anchor) {
  if (stack_.size() >= static_cast<size_t>(kMaxDepth)) {
    return refuse(fmt::format("nested deeper than {} levels", kMaxDepth));
  }
  if (!stack_.empty() && stack_.back().value.type == Value::Type::map && !stack_.back().key) {
    return refuse("a key must be a string, not a list or a map");
  }
  Frame& frame = stack_.emplace_back();
  frame.value.type = type;
  frame.value.line = at.line;
  frame.value.column = at.column;
  frame.anchor = anchor;
  return charge(1, 0);
}

bool TreeBuilder::close() {
  Frame frame = std::move(stack_.back());
  stack_.pop_back();
  finish_merges(frame);
  return add({std::move(frame.value), frame.depth, frame.count, frame.bytes}, frame.anchor, false);
}

bool TreeBuilder::scalar(Value value, Mark at, Anchor anchor, bool merge) {
  value.line = at.line;
  value.column = at.column;
  const size_t bytes = value.text.size();
  return charge(1, bytes) && add({std::move(value), 1, 1, bytes}, anchor, merge);
}

bool TreeBuilder::alias(Anchor anchor, Mark at) {
  const auto it = anchors_.find(anchor);
  if (it == anchors_.end()) {
    return refuse("an alias inside the value that it names");
  }
  const Saved& saved = it->second;
  if (stack_.size() + static_cast<size_t>(saved.depth) > static_cast<size_t>(kMaxDepth)) {
    return refuse(fmt::format("nested deeper than {} levels with aliases expanded", kMaxDepth));
  }
  if (!charge(saved.count, saved.bytes)) {
    return false;
  }
  Saved copy = saved;
  copy.value.line = at.line;
  copy.value.column = at.column;
  return add(std::move(copy), 0, false);
}

bool TreeBuilder::add(Saved part, Anchor anchor, bool merge) {
  if (anchor != 0) {
    if (!charge(part.count, part.bytes)) {
      return false;
    }
    anchors_[anchor] = part;
  }
  if (stack_.empty()) {
    root_ = std::move(part.value);
    return true;
  }
  Frame& frame = stack_.back();
  frame.depth = std::max(frame.depth, part.depth + 1);
  frame.count += part.count;
  frame.bytes += part.bytes;
  if (frame.value.type == Value::Type::list) {
    frame.value.items.push_back(std::move(part.value));
    return true;
  }
  if (!frame.key) {
    return add_key(part.value, merge);
  }
  if (frame.merge) {
    frame.key.reset();
    return add_merge(frame, std::move(part.value));
  }
  Member member = *std::exchange(frame.key, std::nullopt);
  member.value = std::move(part.value);
  if (frame.keys.insert(member.key).second) {
    frame.value.members.push_back(std::move(member));
    return true;
  }
  warnings_.push_back(
      {member.line, member.column, fmt::format("key \"{}\" given twice; the last one counts", member.key)});
  *std::ranges::find(frame.value.members, member.key, &Member::key) = std::move(member);
  return true;
}

bool TreeBuilder::add_key(const Value& value, bool merge) {
  Member key{.key = value.text, .value = {}, .line = value.line, .column = value.column};
  switch (value.type) {
    case Value::Type::boolean:
      key.key = value.boolean ? "true" : "false";
      break;
    case Value::Type::string:
    case Value::Type::integer:
    case Value::Type::real:
      break;
    default:
      return refuse(fmt::format("a key must be a string, not {}", type_name(value.type)));
  }
  stack_.back().merge = merge;
  stack_.back().key = std::move(key);
  return true;
}

bool TreeBuilder::add_merge(Frame& frame, Value value) {
  if (value.type == Value::Type::map) {
    frame.merged.push_back(std::move(value));
    return true;
  }
  const bool maps = value.type == Value::Type::list &&
                    std::ranges::all_of(value.items, [](const Value& item) { return item.type == Value::Type::map; });
  if (!maps) {
    return refuse("a merge key (<<) needs a map or a list of maps");
  }
  std::ranges::move(value.items, std::back_inserter(frame.merged));
  return true;
}

// What stands in the map itself wins over what is merged, wherever it stands; earlier merges win over later ones.
void TreeBuilder::finish_merges(Frame& frame) {
  for (Value& map : frame.merged) {
    for (Member& member : map.members) {
      if (frame.keys.insert(member.key).second) {
        frame.value.members.push_back(std::move(member));
      }
    }
  }
}

Tree TreeBuilder::take() {
  Tree tree;
  if (root_) {
    tree.root = *std::move(root_);
  }
  tree.warnings = std::move(warnings_);
  return tree;
}

}  // namespace keelson::kube
