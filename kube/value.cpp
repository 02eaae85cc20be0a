// SPDX-License-Identifier: Apache-2.0
// Small things of the neutral tree: making, finding, and what plain scalars mean.
#include "kube/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace keelson::kube {

Value Value::of_type(Type type) {
  Value value;
  value.type = type;
  return value;
}

Value Value::of_string(std::string text) {
  Value value = of_type(Type::string);
  value.text = std::move(text);
  return value;
}

Value Value::of_integer(int64_t number) {
  Value value = of_type(Type::integer);
  value.integer = number;
  value.text = std::to_string(number);
  return value;
}

Value Value::of_boolean(bool flag) {
  Value value = of_type(Type::boolean);
  value.boolean = flag;
  return value;
}

const Value* Value::find(std::string_view key) const {
  const auto it = std::ranges::find(members, key, &Member::key);
  return it == members.end() ? nullptr : &it->value;
}

std::string_view type_name(Value::Type type) {
  constexpr std::array<std::string_view, 7> kNames = {"null",     "a boolean", "an integer", "a fractional number",
                                                      "a string", "a list",    "a map"};
  return kNames[static_cast<size_t>(type)];
}

namespace {

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

/// Go's strconv with base 0: 0x, 0o, 0b and a plain leading zero (octal); sign first. Digits beyond 64 bits: none.
std::optional<Value> parse_integer(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) {
    text.remove_prefix(1);
  }
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
    text.remove_prefix(mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1);
  }
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size, base);
  if (text.empty() || end != text.data() + text.size() || error != std::errc()) {
    return std::nullopt;
  }
  constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (size <= kMost) {
    return Value::of_integer(negative ? -static_cast<int64_t>(size) : static_cast<int64_t>(size));
  }
  if (negative && size == kMost + 1) {
    return Value::of_integer(std::numeric_limits<int64_t>::min());
  }
  if (negative) {
    return std::nullopt;
  }
  Value value = Value::of_type(Value::Type::real);
  value.text = std::to_string(size);
  return value;
}

/// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool looks_like_float(std::string_view text) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t from = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
      ++at;
    }
    return at - from;
  };
  const auto sign = [&] { at += at < text.size() && (text[at] == '-' || text[at] == '+') ? 1 : 0; };
  sign();
  const size_t before = digits();
  size_t after = 0;
  if (at < text.size() && text[at] == '.') {
    ++at;
    after = digits();
  }
  if (before + after == 0) {
    return false;
  }
  if (at < text.size() && (text[at] | 0x20) == 'e') {
    ++at;
    sign();
    if (digits() == 0) {
      return false;
    }
  }
  return at == text.size();
}

std::optional<Value> parse_real(std::string_view text) {
  if (!looks_like_float(text)) {
    return std::nullopt;
  }
  std::string_view unsigned_text = text;
  if (text.starts_with('+')) {
    unsigned_text.remove_prefix(1);
  }
  double number = 0;
  const auto [end, error] = std::from_chars(unsigned_text.data(), unsigned_text.data() + unsigned_text.size(), number);
  if (error != std::errc() || end != unsigned_text.data() + unsigned_text.size()) {
    return std::nullopt;
  }
  // On its way to the API server it becomes JSON, where a whole float is written, and read, as an integer.
  if (number == std::trunc(number) && std::abs(number) < 1e15) {
    return Value::of_integer(static_cast<int64_t>(number));
  }
  Value value = Value::of_type(Value::Type::real);
  value.text = fmt::format("{}", number);
  return value;
}

}  // namespace

Value resolve_plain(std::string_view text) {
  if (one_of(text, {"", "~", "null", "Null", "NULL"})) {
    return {};
  }
  if (one_of(text, {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})) {
    return Value::of_boolean(true);
  }
  if (one_of(text, {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})) {
    return Value::of_boolean(false);
  }
  if (std::string_view("0123456789+-.").find(text[0]) != std::string_view::npos) {
    std::string plain(text);
    if (text[0] != '.') {
      std::erase(plain, '_');
    }
    if (auto integer = parse_integer(plain)) {
      return *std::move(integer);
    }
    if (auto real = parse_real(plain)) {
      return *std::move(real);
    }
    if (one_of(text, {".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf",
                      "-.INF"})) {
      Value value = Value::of_type(Value::Type::real);
      value.text = text;
      return value;
    }
  }
  return Value::of_string(std::string(text));
}

Place locate(const Value& root, std::string_view path) {
  const Value* at = &root;
  Place place{root.line, root.column};
  while (!path.empty()) {
    const Value* item = nullptr;
    std::string_view key;
    if (path[0] == '[') {
      const size_t close = std::min(path.find(']'), path.size());
      key = path.substr(1, close - 1);
      size_t index = 0;
      const bool number = std::from_chars(key.data(), key.data() + key.size(), index).ec == std::errc();
      item = number && index < at->items.size() ? &at->items[index] : nullptr;
      path.remove_prefix(std::min(close + 1, path.size()));
    } else {
      path.remove_prefix(path[0] == '.' ? 1 : 0);
      key = path.substr(0, path.find_first_of(".["));
      path.remove_prefix(key.size());
    }
    const auto member = std::ranges::find(at->members, key, &Member::key);
    if (item == nullptr && member == at->members.end()) {
      break;
    }
    at = item != nullptr ? item : &member->value;
    const bool composite = at->type == Value::Type::map || at->type == Value::Type::list;
    place = item == nullptr && composite ? Place{member->line, member->column} : Place{at->line, at->column};
  }
  return place;
}

}  // namespace keelson::kube
