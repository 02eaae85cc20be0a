// SPDX-License-Identifier: Apache-2.0
// From the neutral tree to the typed objects: the visitor that fields() (fields_*.h) describes every struct to.
//
// fields(v, object) names each API field once: v("image", c.image). A Reader fills the object from a map; a Writer
// (writer.h) makes the map from the object. So a field's name, type and place are one line for both ways.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "kube/meta.h"
#include "kube/names.h"
#include "kube/path.h"
#include "kube/quantity.h"
#include "kube/value.h"

namespace keelson::kube {

/// True for T and const T: what lets one fields() serve both visitors.
template <class T, class Struct>
concept Of = std::same_as<std::remove_const_t<T>, Struct>;

/// A fault found while reading, where it stands.
struct Finding {
  int line = 0;
  int column = 0;
  std::string path;
  std::string text;
};
struct Findings {
  std::vector<Finding> errors;
  std::vector<Finding> warnings;
};

// Scalars and other leaves (reader.cpp). A null leaves the field as it is.
void read_value(const Value& value, const Path& path, bool& field, Findings& findings);
void read_value(const Value& value, const Path& path, int32_t& field, Findings& findings);
void read_value(const Value& value, const Path& path, int64_t& field, Findings& findings);
void read_value(const Value& value, const Path& path, std::string& field, Findings& findings);
void read_value(const Value& value, const Path& path, WallTime& field, Findings& findings);
void read_value(const Value& value, const Path& path, Quantity& field, Findings& findings);
void read_value(const Value& value, const Path& path, IntOrString& field, Findings& findings);
void read_value(const Value& value, const Path& path, RawJson& field, Findings& findings);
/// A map of strings whose values are base64.
void read_base64(const Value& value, const Path& path, StringMap& field, Findings& findings);
/// Bytes as base64.
void read_base64(const Value& value, const Path& path, std::string& field, Findings& findings);
/// Says "expected <what>, got a string" unless the value is of this type. False also for null, silently.
bool expect(const Value& value, Value::Type type, std::string_view what, const Path& path, Findings& findings);
/// Warns about members that are not in `known`, naming the nearest one that is.
void warn_unknown(const Value& map, const std::vector<std::string_view>& known, const Path& path, Findings& findings);
void refuse_enum(const Value& value, const Path& path, std::vector<std::string_view> supported, Findings& findings);

template <class E>
  requires std::is_enum_v<E>
void read_value(const Value& value, const Path& path, E& field, Findings& findings) {
  if (!expect(value, Value::Type::string, "a string", path, findings)) {
    return;
  }
  std::vector<std::string_view> supported;
  for (const auto& [known, name] : names_of(E{})) {
    if (value.text == name) {
      field = known;
      return;
    }
    supported.push_back(name);
  }
  // An empty enum is one not given: the default stays.
  if (!value.text.empty()) {
    refuse_enum(value, path, std::move(supported), findings);
  }
}

template <class T>
void read_value(const Value& value, const Path& path, std::vector<T>& field, Findings& findings);
template <class T>
void read_value(const Value& value, const Path& path, std::map<std::string, T>& field, Findings& findings);
template <class T>
void read_value(const Value& value, const Path& path, std::optional<T>& field, Findings& findings);
template <class T>
  requires std::is_class_v<T>
void read_value(const Value& value, const Path& path, T& field, Findings& findings);

/// The visitor that fills one struct from one map.
class Reader {
 public:
  Reader(const Value& map, const Path& path, Findings& findings) : map_(map), path_(path), findings_(findings) {}
  /// It keeps the path, not a copy of it: name the path.
  Reader(const Value& map, const Path&& path, Findings& findings) = delete;
  ~Reader() { warn_unknown(map_, known_, path_, findings_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// A field that is left out of the output when empty.
  template <class T>
  void operator()(std::string_view name, T& field) {
    if (const Value* value = take(name)) {
      read_value(*value, path_ / name, field, findings_);
    }
  }
  /// A field that the output always has.
  template <class T>
  void always(std::string_view name, T& field) {
    (*this)(name, field);
  }
  /// A list of one-field objects: [{name: a}, {name: b}] <-> {"a", "b"}.
  void names(std::string_view name, std::string_view inner, std::vector<std::string>& field) {
    const Value* value = take(name);
    if (value == nullptr || !expect(*value, Value::Type::list, "a list", path_ / name, findings_)) {
      return;
    }
    const Path list = path_ / name;
    for (size_t i = 0; i < value->items.size(); ++i) {
      const Path place = list[i];
      if (expect(value->items[i], Value::Type::map, "a map", place, findings_)) {
        Reader(value->items[i], place, findings_)(inner, field.emplace_back());
      }
    }
  }
  /// A map of its own in the text, but not in the struct.
  template <class Fields>
  void object(std::string_view name, Fields fields_of_it) {
    const Value* value = take(name);
    const Path place = path_ / name;
    if (value != nullptr && expect(*value, Value::Type::map, "a map", place, findings_)) {
      Reader inner(*value, place, findings_);
      fields_of_it(inner);
    }
  }
  void base64(std::string_view name, StringMap& field) {
    if (const Value* value = take(name)) {
      read_base64(*value, path_ / name, field, findings_);
    }
  }
  void base64(std::string_view name, std::string& field) {
    if (const Value* value = take(name)) {
      read_base64(*value, path_ / name, field, findings_);
    }
  }
  /// A time that is written with microseconds.
  void micro_time(std::string_view name, std::optional<WallTime>& time) { (*this)(name, time); }
  /// Read over what an earlier field filled; never written.
  void write_only(std::string_view name, StringMap& field) {
    StringMap over;
    (*this)(name, over);
    for (auto& [key, text] : over) {
      field[key] = std::move(text);
    }
  }
  /// An older name for a field read before: counts if that is empty.
  void deprecated(std::string_view name, std::string& field) {
    std::string other;
    (*this)(name, other);
    if (field.empty()) {
      field = std::move(other);
    }
  }
  /// An older field with the first of a list: counts if the list, read before, is empty. Written as the API does: both.
  void first_of(std::string_view name, std::vector<std::string>& list) {
    std::string first;
    (*this)(name, first);
    if (list.empty() && !first.empty()) {
      list.push_back(std::move(first));
    }
  }
  /// Fields that exist and that nothing here needs.
  void ignored(std::initializer_list<std::string_view> names) { known_.insert(known_.end(), names); }
  /// Fields that exist and that this node cannot honour: the first present one's name is kept.
  void unsupported(std::initializer_list<std::string_view> names, std::string& field) {
    for (const std::string_view name : names) {
      const Value* value = take(name);
      if (value != nullptr && value->type != Value::Type::null && field.empty()) {
        field = name;
      }
    }
  }

 private:
  const Value* take(std::string_view name) {
    known_.push_back(name);
    return map_.find(name);
  }

  const Value& map_;
  const Path& path_;
  Findings& findings_;
  std::vector<std::string_view> known_;
};

template <class T>
void read_value(const Value& value, const Path& path, std::vector<T>& field, Findings& findings) {
  if (!expect(value, Value::Type::list, "a list", path, findings)) {
    return;
  }
  for (size_t i = 0; i < value.items.size(); ++i) {
    const Path place = path[i];
    if (value.items[i].type == Value::Type::null) {
      findings.errors.push_back(
          {value.items[i].line, value.items[i].column, place.to_string(), "an entry of a list is empty"});
      continue;
    }
    read_value(value.items[i], place, field.emplace_back(), findings);
  }
}

template <class T>
void read_value(const Value& value, const Path& path, std::map<std::string, T>& field, Findings& findings) {
  if (!expect(value, Value::Type::map, "a map", path, findings)) {
    return;
  }
  for (const Member& member : value.members) {
    read_value(member.value, path / member.key, field[member.key], findings);
  }
}

template <class T>
void read_value(const Value& value, const Path& path, std::optional<T>& field, Findings& findings) {
  if (value.type == Value::Type::null) {
    return;
  }
  if constexpr (std::is_enum_v<T>) {
    if (value.type == Value::Type::string && value.text.empty()) {
      return;
    }
  }
  read_value(value, path, field.emplace(), findings);
}

template <class T>
  requires std::is_class_v<T>
void read_value(const Value& value, const Path& path, T& field, Findings& findings) {
  if (expect(value, Value::Type::map, "a map", path, findings)) {
    Reader reader(value, path, findings);
    fields(reader, field);
  }
}

}  // namespace keelson::kube
