// SPDX-License-Identifier: Apache-2.0
// The visitor of fields() that fills a struct from tokens (json_tokens.h): what Reader is to the tree of value.h.
//
// For what an API server sends: unknown fields are passed over in silence. Values of the wrong type are told in the
// words of reader.cpp, which gets them as a tree's leaf.
#pragma once

#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "kube/json_tokens.h"
#include "kube/reader.h"

namespace keelson::kube {

/// A token, and the run it stands in.
struct TokenAt {
  const Tokens& tokens;
  uint32_t at;
  const Token& token() const { return tokens.list[at]; }
  std::string_view text() const { return tokens.text(token()); }
  TokenAt other(uint32_t index) const { return {tokens, index}; }
};

/// The value as a leaf of the tree: containers without what is in them.
inline Value leaf_of(const TokenAt& from) {
  Value value = Value::of_type(from.token().type);
  value.boolean = from.token().boolean;
  value.integer = from.token().integer;
  value.text = value.type == Value::Type::integer ? std::to_string(value.integer) : std::string(from.text());
  return value;
}

/// The value as a tree, with all that is in it. As deep as the tokenizer lets it be (codec.h).
inline Value tree_of(const TokenAt& from) {
  Value value = leaf_of(from);
  for (uint32_t item = from.at + 1; item < from.token().end; item = from.tokens.list[item].end) {
    if (value.type == Value::Type::map) {
      value.members.push_back({std::string(from.tokens.key(from.tokens.list[item])), tree_of(from.other(item))});
    } else {
      value.items.push_back(tree_of(from.other(item)));
    }
  }
  return value;
}

inline bool expect(const TokenAt& from, Value::Type type, std::string_view what, const Path& path, Findings& findings) {
  return from.token().type == type || expect(leaf_of(from), type, what, path, findings);
}

inline void read_token(const TokenAt& from, const Path& path, bool& field, Findings& findings) {
  read_value(leaf_of(from), path, field, findings);
}
template <class Int>
  requires std::is_same_v<Int, int32_t> || std::is_same_v<Int, int64_t>
void read_token(const TokenAt& from, const Path& path, Int& field, Findings& findings) {
  const Token& token = from.token();
  if (token.type == Value::Type::integer && token.integer >= std::numeric_limits<Int>::min() &&
      token.integer <= std::numeric_limits<Int>::max()) {
    field = static_cast<Int>(token.integer);
  } else {
    read_value(leaf_of(from), path, field, findings);
  }
}
inline void read_token(const TokenAt& from, const Path& path, std::string& field, Findings& findings) {
  if (expect(from, Value::Type::string, "a string", path, findings)) {
    field = from.text();
  }
}
inline void read_token(const TokenAt& from, const Path& path, WallTime& field, Findings& findings) {
  read_value(leaf_of(from), path, field, findings);
}
inline void read_token(const TokenAt& from, const Path& path, IntOrString& field, Findings& findings) {
  read_value(leaf_of(from), path, field, findings);
}
inline void read_token(const TokenAt& from, const Path& path, Quantity& field, Findings& findings) {
  read_value(leaf_of(from), path, field, findings);
}
inline void read_token(const TokenAt& from, const Path& path, RawJson& field, Findings& findings) {
  read_value(tree_of(from), path, field, findings);
}
template <class E>
  requires std::is_enum_v<E>
void read_token(const TokenAt& from, const Path& path, E& field, Findings& findings) {
  for (const auto& [known, name] : names_of(E{})) {
    if (from.token().type == Value::Type::string && from.text() == name) {
      field = known;
      return;
    }
  }
  read_value(leaf_of(from), path, field, findings);
}

template <class T>
void read_token(const TokenAt& from, const Path& path, std::vector<T>& field, Findings& findings);
template <class T>
void read_token(const TokenAt& from, const Path& path, std::map<std::string, T>& field, Findings& findings);
template <class T>
void read_token(const TokenAt& from, const Path& path, std::optional<T>& field, Findings& findings);
template <class T>
  requires std::is_class_v<T>
void read_token(const TokenAt& from, const Path& path, T& field, Findings& findings);

/// The names and meanings of its functions are Reader's.
class QuickReader {
 public:
  QuickReader(const TokenAt& map, const Path& path, Findings& findings) : map_(map), path_(path), findings_(findings) {}
  /// It keeps the path, not a copy of it: name the path.
  QuickReader(const TokenAt& map, const Path&& path, Findings& findings) = delete;

  template <class T>
  void operator()(std::string_view name, T& field) {
    if (const uint32_t at = map_.tokens.find(map_.at, name); at != 0) {
      read_token(map_.other(at), path_ / name, field, findings_);
    }
  }
  template <class T>
  void always(std::string_view name, T& field) {
    (*this)(name, field);
  }
  void names(std::string_view name, std::string_view inner, std::vector<std::string>& field) {
    const uint32_t at = map_.tokens.find(map_.at, name);
    if (at == 0 || !expect(map_.other(at), Value::Type::list, "a list", path_ / name, findings_)) {
      return;
    }
    const Path list = path_ / name;
    for (uint32_t item = at + 1; item < map_.tokens.list[at].end; item = map_.tokens.list[item].end) {
      const Path place = list[field.size()];
      if (expect(map_.other(item), Value::Type::map, "a map", place, findings_)) {
        QuickReader(map_.other(item), place, findings_)(inner, field.emplace_back());
      }
    }
  }
  template <class Fields>
  void object(std::string_view name, Fields fields_of_it) {
    const uint32_t at = map_.tokens.find(map_.at, name);
    const Path place = path_ / name;
    if (at != 0 && expect(map_.other(at), Value::Type::map, "a map", place, findings_)) {
      QuickReader inner(map_.other(at), place, findings_);
      fields_of_it(inner);
    }
  }
  void first_of(std::string_view name, std::vector<std::string>& list) {
    std::string first;
    (*this)(name, first);
    if (list.empty() && !first.empty()) {
      list.push_back(std::move(first));
    }
  }
  void base64(std::string_view name, StringMap& field) {
    if (const uint32_t at = map_.tokens.find(map_.at, name); at != 0) {
      read_base64(tree_of(map_.other(at)), path_ / name, field, findings_);
    }
  }
  void write_only(std::string_view, StringMap&) {}  // an API server never sends them
  void deprecated(std::string_view name, std::string& field) {
    if (field.empty()) {
      (*this)(name, field);
    }
  }
  void unsupported(std::initializer_list<std::string_view> names, std::string& field) {
    for (const std::string_view name : names) {
      const uint32_t at = field.empty() ? map_.tokens.find(map_.at, name) : 0;
      if (at != 0 && map_.other(at).token().type != Value::Type::null) {
        field = name;
      }
    }
  }
  void ignored(std::initializer_list<std::string_view>) {}

 private:
  const TokenAt map_;
  const Path& path_;
  Findings& findings_;
};

template <class T>
void read_token(const TokenAt& from, const Path& path, std::vector<T>& field, Findings& findings) {
  if (!expect(from, Value::Type::list, "a list", path, findings)) {
    return;
  }
  for (uint32_t item = from.at + 1; item < from.token().end; item = from.tokens.list[item].end) {
    const Path place = path[field.size()];
    if (from.tokens.list[item].type == Value::Type::null) {
      findings.errors.push_back({0, 0, place.to_string(), "an entry of a list is empty"});
      continue;
    }
    read_token(from.other(item), place, field.emplace_back(), findings);
  }
}

template <class T>
void read_token(const TokenAt& from, const Path& path, std::map<std::string, T>& field, Findings& findings) {
  if (!expect(from, Value::Type::map, "a map", path, findings)) {
    return;
  }
  for (uint32_t member = from.at + 1; member < from.token().end; member = from.tokens.list[member].end) {
    const std::string_view key = from.tokens.key(from.tokens.list[member]);
    const auto it = field.try_emplace(field.end(), std::string(key));
    read_token(from.other(member), path / key, it->second, findings);
  }
}

template <class T>
void read_token(const TokenAt& from, const Path& path, std::optional<T>& field, Findings& findings) {
  if (from.token().type == Value::Type::null) {
    return;
  }
  if constexpr (std::is_enum_v<T>) {
    if (from.token().type == Value::Type::string && from.text().empty()) {
      return;
    }
  }
  read_token(from, path, field.emplace(), findings);
}

template <class T>
  requires std::is_class_v<T>
void read_token(const TokenAt& from, const Path& path, T& field, Findings& findings) {
  if (expect(from, Value::Type::map, "a map", path, findings)) {
    QuickReader reader(from, path, findings);
    fields(reader, field);
  }
}

}  // namespace keelson::kube
