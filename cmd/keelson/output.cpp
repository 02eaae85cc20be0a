// SPDX-License-Identifier: Apache-2.0
// Tables, JSON and YAML as text.
#include "cmd/keelson/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include <boost/json/serialize.hpp>
#include <yaml-cpp/emitter.h>

#include "common/clock.h"

namespace keelson::cli {

namespace json = boost::json;

Result<Format> parse_format(const std::string& text) {
  static const std::map<std::string, Format> kFormats = {
      {"", Format::table}, {"wide", Format::wide}, {"json", Format::json}, {"yaml", Format::yaml}};
  auto found = kFormats.find(text);
  if (found == kFormats.end()) {
    return fail(Kind::invalid,
                "unable to match a printer suitable for the output format \"{}\", allowed formats are: json,wide,yaml",
                text);
  }
  return found->second;
}

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string out;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) {
        out.append(widths[i] - row[i].size() + 3, ' ');
      }
    }
    out += '\n';
  }
  return out;
}

namespace {

void append_json(std::string& out, const json::value& value, int depth) {
  std::string inner(static_cast<size_t>(depth + 1) * 4, ' ');
  std::string outer(static_cast<size_t>(depth) * 4, ' ');
  auto item = [&, first = true](const std::string& key, const json::value& child) mutable {
    out += first ? "\n" : ",\n";
    first = false;
    out += inner + key;
    append_json(out, child, depth + 1);
  };
  if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
    out += '{';
    for (const auto& [key, child] : *object) {
      item(json::serialize(key) + ": ", child);
    }
    out += "\n" + outer + "}";
  } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
    out += '[';
    for (const auto& child : *array) {
      item("", child);
    }
    out += "\n" + outer + "]";
  } else {
    out += json::serialize(value);
  }
}

/// Whether a plain YAML scalar of this text would be read as something other than a string.
bool needs_quotes(const std::string& text) {
  static constexpr std::string_view kWords[] = {"",    "~", "null", "true", "false", "yes", "no", "on",
                                                "off", "y", "n",    ".nan", ".inf",  "-",   "?"};
  std::string lower;
  std::transform(text.begin(), text.end(), std::back_inserter(lower), [](unsigned char c) { return std::tolower(c); });
  if (std::find(std::begin(kWords), std::end(kWords), lower) != std::end(kWords)) {
    return true;
  }
  bool numeric = text.find_first_not_of("0123456789+-.eExX_:abcdefABCDEF") == std::string::npos;
  bool digit = text.find_first_of("0123456789") != std::string::npos;
  bool time = text.size() >= 20 && text[4] == '-' && text[10] == 'T';
  return (numeric && digit && text.find_first_not_of("0123456789abcdefABCDEF") != 0) || (numeric && digit) || time;
}

void emit_yaml(YAML::Emitter& out, const json::value& value) {
  if (const auto* object = value.if_object()) {
    std::map<std::string, const json::value*> sorted;
    for (const auto& [key, child] : *object) {
      sorted.emplace(key, &child);
    }
    out << (object->empty() ? YAML::Flow : YAML::Block) << YAML::BeginMap;
    for (const auto& [key, child] : sorted) {
      out << YAML::Key << key << YAML::Value;
      emit_yaml(out, *child);
    }
    out << YAML::EndMap;
  } else if (const auto* array = value.if_array()) {
    out << (array->empty() ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
    for (const auto& child : *array) {
      emit_yaml(out, child);
    }
    out << YAML::EndSeq;
  } else if (const auto* string = value.if_string()) {
    std::string text(*string);
    if (text.find('\n') != std::string::npos) {
      out << YAML::Literal << text;
    } else if (needs_quotes(text)) {
      out << YAML::DoubleQuoted << text;
    } else {
      out << text;
    }
  } else if (value.is_null()) {
    out << YAML::Null;
  } else {
    out << json::serialize(value);
  }
}

}  // namespace

std::string format_json(const json::value& value) {
  std::string out;
  append_json(out, value, 0);
  return out + "\n";
}

std::string format_yaml(const json::value& value) {
  YAML::Emitter out;
  out.SetNullFormat(YAML::LowerNull);
  emit_yaml(out, value);
  return std::string(out.c_str()) + "\n";
}

const json::value& find(const json::value& value, std::initializer_list<std::string_view> path) {
  static const json::value kNull;
  const json::value* at = &value;
  for (auto step : path) {
    const auto* object = at->if_object();
    const auto* next = object != nullptr ? object->if_contains(step) : nullptr;
    if (next == nullptr) {
      return kNull;
    }
    at = next;
  }
  return *at;
}

std::string text_at(const json::value& value, std::initializer_list<std::string_view> path,
                    std::string_view otherwise) {
  const auto* string = find(value, path).if_string();
  return string != nullptr ? std::string(*string) : std::string(otherwise);
}

int64_t number_at(const json::value& value, std::initializer_list<std::string_view> path) {
  const auto& found = find(value, path);
  if (const auto* number = found.if_int64()) {
    return *number;
  }
  const auto* number = found.if_uint64();
  return number != nullptr ? static_cast<int64_t>(*number) : 0;
}

const json::array& list_at(const json::value& value, std::initializer_list<std::string_view> path) {
  static const json::array kEmpty;
  const auto* array = find(value, path).if_array();
  return array != nullptr ? *array : kEmpty;
}

std::string age_of(const std::string& time) {
  auto parsed = parse_rfc3339(time);
  return parsed ? human_duration(real_clock().wall() - *parsed) : "<unknown>";
}

}  // namespace keelson::cli
