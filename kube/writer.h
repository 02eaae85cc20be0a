// SPDX-License-Identifier: Apache-2.0
// From the typed objects to the neutral tree: the other visitor of fields() (see reader.h).
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/meta.h"
#include "kube/names.h"
#include "kube/quantity.h"
#include "kube/reader.h"
#include "kube/text.h"
#include "kube/value.h"

namespace keelson::kube {

inline Value write_value(bool field) {
  return Value::of_boolean(field);
}
inline Value write_value(int32_t field) {
  return Value::of_integer(field);
}
inline Value write_value(int64_t field) {
  return Value::of_integer(field);
}
inline Value write_value(const std::string& field) {
  return Value::of_string(field);
}
inline Value write_value(const WallTime& field) {
  return Value::of_string(format_rfc3339(field));
}
inline Value write_value(const Quantity& field) {
  return Value::of_string(field.to_string());
}
inline Value write_value(const IntOrString& field) {
  return field.is_number() ? Value::of_integer(field.number()) : Value::of_string(field.name());
}
inline Value write_value(const RawJson& field) {
  return read_json(field.json).root;
}
template <class E>
  requires std::is_enum_v<E>
Value write_value(E field) {
  return Value::of_string(std::string(name_of(field)));
}
template <class T>
Value write_value(const std::vector<T>& field);
template <class T>
Value write_value(const std::map<std::string, T>& field);
template <class T>
Value write_value(const std::optional<T>& field);
template <class T>
  requires std::is_class_v<T>
Value write_value(const T& field);

/// What `omitempty` leaves out. Structs are never empty, as in Go.
template <class T>
bool is_empty(const T& field) {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, int32_t> || std::is_same_v<T, int64_t>) {
    return field == T{};
  } else if constexpr (std::is_same_v<T, RawJson>) {
    return field.json.empty();
  } else if constexpr (requires { field.empty(); }) {
    return field.empty();
  } else if constexpr (requires { field.has_value(); }) {
    return !field.has_value();
  } else {
    return false;
  }
}

/// The visitor that makes one map of one struct. The names and meanings of its functions are Reader's.
class Writer {
 public:
  template <class T>
  void operator()(std::string_view name, const T& field) {
    if (!is_empty(field)) {
      always(name, field);
    }
  }
  template <class T>
  void always(std::string_view name, const T& field) {
    add(name, write_value(field));
  }
  void names(std::string_view name, std::string_view inner, const std::vector<std::string>& field) {
    Value list = Value::of_type(Value::Type::list);
    for (const std::string& text : field) {
      Writer writer;
      writer.always(inner, text);
      list.items.push_back(writer.take());
    }
    if (!field.empty()) {
      add(name, std::move(list));
    }
  }
  template <class Fields>
  void object(std::string_view name, Fields fields_of_it) {
    Writer writer;
    fields_of_it(writer);
    if (Value map = writer.take(); !map.members.empty()) {
      add(name, std::move(map));
    }
  }
  void base64(std::string_view name, const StringMap& field) {
    Value map = Value::of_type(Value::Type::map);
    for (const auto& [key, bytes] : field) {
      map.members.push_back({key, Value::of_string(encode_base64(bytes))});
    }
    if (!field.empty()) {
      add(name, std::move(map));
    }
  }
  void base64(std::string_view name, const std::string& bytes) {
    if (!bytes.empty()) {
      add(name, Value::of_string(encode_base64(bytes)));
    }
  }
  /// Six digits of a second, no more and no less (metav1.MicroTime).
  void micro_time(std::string_view name, const std::optional<WallTime>& time) {
    if (time) {
      auto text = format_rfc3339_nano(*time);
      add(name, Value::of_string(text.erase(text.size() - 4, 3)));
    }
  }
  void write_only(std::string_view, const StringMap&) {}
  void deprecated(std::string_view name, const std::string& field) { (*this)(name, field); }
  void first_of(std::string_view name, const std::vector<std::string>& list) {
    if (!list.empty()) {
      always(name, list.front());
    }
  }
  void ignored(std::initializer_list<std::string_view>) {}
  void unsupported(std::initializer_list<std::string_view>, const std::string&) {}

  /// The map, its keys in alphabetical order.
  Value take() {
    std::ranges::sort(map_.members, {}, &Member::key);
    return std::move(map_);
  }

 private:
  void add(std::string_view name, Value value) { map_.members.push_back({std::string(name), std::move(value)}); }

  Value map_ = Value::of_type(Value::Type::map);
};

template <class T>
Value write_value(const std::vector<T>& field) {
  Value list = Value::of_type(Value::Type::list);
  for (const T& element : field) {
    list.items.push_back(write_value(element));
  }
  return list;
}

template <class T>
Value write_value(const std::map<std::string, T>& field) {
  Value map = Value::of_type(Value::Type::map);
  for (const auto& [key, element] : field) {
    map.members.push_back({key, write_value(element)});
  }
  return map;
}

template <class T>
Value write_value(const std::optional<T>& field) {
  return field ? write_value(*field) : Value();
}

template <class T>
  requires std::is_class_v<T>
Value write_value(const T& field) {
  Writer writer;
  fields(writer, field);
  return writer.take();
}

}  // namespace keelson::kube
