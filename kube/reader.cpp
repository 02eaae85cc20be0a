// SPDX-License-Identifier: Apache-2.0
// Reading scalars strictly, as the API server's JSON decoder does, and helping with unknown fields.
#include "kube/reader.h"

#include <array>
#include <limits>
#include <numeric>

#include "kube/text.h"

namespace keelson::kube {

namespace {

using Type = Value::Type;

void add(const Value& value, const Path& path, std::string text, Findings& findings) {
  findings.errors.push_back({value.line, value.column, path.to_string(), std::move(text)});
}

template <class Int>
void read_integer(const Value& value, const Path& path, Int& field, Findings& findings) {
  if (value.type == Type::real && value.text.find_first_of(".eEnN") == std::string::npos) {
    return add(value, path, fmt::format("{} does not fit into {} bits", value.text, sizeof(Int) * 8), findings);
  }
  if (!expect(value, Type::integer, "an integer", path, findings)) {
    return;
  }
  if (value.integer < std::numeric_limits<Int>::min() || value.integer > std::numeric_limits<Int>::max()) {
    return add(value, path, fmt::format("{} does not fit into {} bits", value.integer, sizeof(Int) * 8), findings);
  }
  field = static_cast<Int>(value.integer);
}

/// Edits between two words, case aside: what a typo is measured in.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
      const size_t change = diagonal + (lower(a[i]) == lower(b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, diagonal + 1, change});
    }
  }
  return row.back();
}

}  // namespace

std::string Path::to_string() const {
  std::string text = parent_ != nullptr ? parent_->to_string() : std::string();
  if (index_) {
    return text.append("[").append(std::to_string(*index_)).append("]");
  }
  if (bracketed_) {
    return text.append("[").append(name_).append("]");
  }
  return text.append(text.empty() ? "" : ".").append(name_);
}

bool expect(const Value& value, Type type, std::string_view what, const Path& path, Findings& findings) {
  if (value.type == type) {
    return true;
  }
  if (value.type != Type::null) {
    const bool unquoted = type == Type::string &&
                          (value.type == Type::boolean || value.type == Type::integer || value.type == Type::real);
    add(value, path, fmt::format("expected {}, got {}{}", what, type_name(value.type), unquoted ? " (quote it)" : ""),
        findings);
  }
  return false;
}

void read_value(const Value& value, const Path& path, bool& field, Findings& findings) {
  if (expect(value, Type::boolean, "a boolean", path, findings)) {
    field = value.boolean;
  }
}

void read_value(const Value& value, const Path& path, int32_t& field, Findings& findings) {
  read_integer(value, path, field, findings);
}

void read_value(const Value& value, const Path& path, int64_t& field, Findings& findings) {
  read_integer(value, path, field, findings);
}

void read_value(const Value& value, const Path& path, std::string& field, Findings& findings) {
  if (expect(value, Type::string, "a string", path, findings)) {
    field = value.text;
  }
}

void read_value(const Value& value, const Path& path, WallTime& field, Findings& findings) {
  if (!expect(value, Type::string, "a time (RFC 3339)", path, findings)) {
    return;
  }
  const auto time = parse_rfc3339(value.text);
  if (!time) {
    return add(value, path, "expected a time such as 2006-01-02T15:04:05Z", findings);
  }
  field = *time;
}

void read_value(const Value& value, const Path& path, Quantity& field, Findings& findings) {
  if (value.type == Type::null) {
    return;
  }
  if (value.type != Type::string && value.type != Type::integer && value.type != Type::real) {
    return add(value, path, fmt::format("expected a quantity, got {}", type_name(value.type)), findings);
  }
  auto quantity = Quantity::parse(value.text);
  if (!quantity) {
    return add(value, path, quantity.error().what(), findings);
  }
  field = *quantity;
}

void read_value(const Value& value, const Path& path, IntOrString& field, Findings& findings) {
  if (value.type == Type::string) {
    field.value = value.text;
    return;
  }
  if (value.type != Type::null && value.type != Type::integer && value.type != Type::real) {
    return add(value, path, fmt::format("expected an integer or a string, got {}", type_name(value.type)), findings);
  }
  int32_t number = 0;
  read_integer(value, path, number, findings);
  field.value = number;
}

void read_value(const Value& value, const Path&, RawJson& field, Findings&) {
  if (value.type != Type::null) {
    field.json = print_json(value, false);
  }
}

void read_base64(const Value& value, const Path& path, StringMap& field, Findings& findings) {
  StringMap encoded;
  read_value(value, path, encoded, findings);
  for (auto& [key, text] : encoded) {
    auto bytes = decode_base64(text);
    if (bytes) {
      field[key] = *std::move(bytes);
    } else {
      const Value* place = value.find(key);
      add(place != nullptr ? *place : value, path / key, "not valid base64", findings);
    }
  }
}

void read_base64(const Value& value, const Path& path, std::string& field, Findings& findings) {
  if (!expect(value, Type::string, "a string", path, findings)) {
    return;
  }
  auto bytes = decode_base64(value.text);
  if (!bytes) {
    return add(value, path, "not valid base64", findings);
  }
  field = *std::move(bytes);
}

void warn_unknown(const Value& map, const std::vector<std::string_view>& known, const Path& path, Findings& findings) {
  for (const Member& member : map.members) {
    if (std::ranges::find(known, member.key) != known.end()) {
      continue;
    }
    std::string text = "unknown field";
    size_t best = std::min<size_t>(3, member.key.size() / 2 + 1);
    std::string_view nearest;
    for (const std::string_view name : member.key.size() > 64 ? std::vector<std::string_view>() : known) {
      if (const size_t edits = distance(member.key, name); edits < best) {
        best = edits;
        nearest = name;
      }
    }
    if (!nearest.empty()) {
      text += fmt::format("; did you mean \"{}\"?", nearest);
    }
    findings.warnings.push_back({member.line, member.column, (path / member.key).to_string(), std::move(text)});
  }
}

void refuse_enum(const Value& value, const Path& path, std::vector<std::string_view> supported, Findings& findings) {
  std::ranges::sort(supported);
  std::string list;
  for (const std::string_view name : supported) {
    if (!name.empty()) {
      list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", name);
    }
  }
  add(value, path, fmt::format("Unsupported value: {}: supported values: {}", quoted(value.text), list), findings);
}

}  // namespace keelson::kube
