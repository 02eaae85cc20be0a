// SPDX-License-Identifier: Apache-2.0
// One neutral tree for YAML and JSON, with the place of every value; what decoding starts from and encoding ends in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keelson::kube {

struct Member;

/// A value as the text gave it. Scalars keep their text; numbers in a normal form (decimal, shortest).
struct Value {
  enum class Type { null, boolean, integer, real, string, list, map };
  Type type = Type::null;
  int line = 0;    ///< From 1.
  int column = 0;  ///< From 1; 0: unknown.
  bool boolean = false;
  int64_t integer = 0;  ///< Of an integer. Whole numbers outside int64 are `real`.
  std::string text;     ///< Of a string, integer or real.
  std::vector<Value> items;
  std::vector<Member> members;  ///< In the order of the text; keys are unique.

  static Value of_string(std::string text);
  static Value of_integer(int64_t value);
  static Value of_boolean(bool value);
  static Value of_type(Type type);

  const Value* find(std::string_view key) const;
};

struct Member {
  std::string key;
  Value value;
  int line = 0;  ///< Of the key.
  int column = 0;
};

/// "a string", "an integer" ...
std::string_view type_name(Value::Type type);

/// Something to say about a place of the text.
struct Remark {
  int line = 0;
  int column = 0;
  std::string text;
};

/// A document of a text: a tree, or why there is none; and keys that were given twice.
struct Tree {
  Value root;
  std::optional<Remark> error;
  std::vector<Remark> warnings;
};

/// All documents of a text within the bounds of codec.h, empty ones left out. A broken document does not hide the
/// others, as far as "---" lines part them.
std::vector<Tree> read_trees(std::string_view text);
/// One JSON text that is to be one value. The second form takes from a file's bounds.
Tree read_json(std::string_view text);
struct Budget;
Tree read_json(std::string_view text, int first_line, Budget& budget);

std::string print_json(const Value& value, bool pretty);
std::string print_yaml(const Value& value);

/// What a plain (unquoted) YAML scalar means, by the rules of the Go YAML library that Kubernetes uses (YAML 1.1, no
/// octal surprises beyond a leading 0, no base 60, timestamps are strings). Line and column are left at 0.
Value resolve_plain(std::string_view text);

struct Place {
  int line = 0;
  int column = 0;
};
/// Where "spec.containers[0].name" stands, or the nearest value above it that exists: a scalar's own place, or the
/// key's of a map or list.
Place locate(const Value& root, std::string_view path);

}  // namespace keelson::kube
