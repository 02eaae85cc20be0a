// SPDX-License-Identifier: Apache-2.0
// Builds a Value tree from the events of a YAML or JSON parser, within bounds.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "kube/codec.h"
#include "kube/value.h"

namespace keelson::kube {

/// What is left of the bounds of codec.h; shared by all documents of a text.
struct Budget {
  size_t values = kMaxValueCount;
  size_t bytes = kMaxExpandedSize;
};

/// Takes events in the order of the text; in a map, keys and values in turn. Every call that answers false has set
/// error() and the parse must stop. Aliases are expanded by copying, so their number and size are bounded here, before
/// any copy is made.
class TreeBuilder {
 public:
  explicit TreeBuilder(Budget& budget) : budget_(budget) {}

  struct Mark {
    int line = 0;
    int column = 0;
  };
  /// Names a value that aliases may repeat; 0: none.
  using Anchor = size_t;

  bool open(Value::Type type, Mark at, Anchor anchor = 0);
  bool close();
  /// A scalar, or a key. `merge`: as a key, it is YAML's `<<`.
  bool scalar(Value value, Mark at, Anchor anchor = 0, bool merge = false);
  bool alias(Anchor anchor, Mark at);

  const std::string& error() const { return error_; }
  /// The finished tree's root and warnings; the builder is then spent.
  Tree take();

 private:
  struct Frame {
    Value value;
    Anchor anchor = 0;
    std::optional<Member> key;  ///< Waiting for its value.
    bool merge = false;         ///< ... which shall be merged.
    std::vector<Value> merged;
    std::unordered_set<std::string> keys;
    int depth = 1;  ///< Levels below, itself included.
    size_t count = 1;
    size_t bytes = 0;
  };
  struct Saved {
    Value value;
    int depth = 1;
    size_t count = 1;
    size_t bytes = 0;
  };

  bool refuse(std::string text);
  bool charge(size_t count, size_t bytes);
  bool add(Saved part, Anchor anchor, bool merge);
  bool add_key(const Value& value, bool merge);
  bool add_merge(Frame& frame, Value value);
  static void finish_merges(Frame& frame);

  std::vector<Frame> stack_;
  std::unordered_map<Anchor, Saved> anchors_;
  std::optional<Value> root_;
  std::vector<Remark> warnings_;
  std::string error_;
  Budget& budget_;
};

}  // namespace keelson::kube
