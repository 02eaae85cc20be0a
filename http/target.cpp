// SPDX-License-Identifier: Apache-2.0
// Percent decoding and splitting.
#include "http/target.h"

#include <charconv>

namespace keelson::http {

namespace {

/// `blank`: what stands for a blank beside "%20": '+' in a query, nothing in a path.
Result<std::string> decode(std::string_view text, char blank) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i] == blank ? ' ' : text[i];
      continue;
    }
    unsigned int value = 0;
    const char* end = text.data() + std::min(i + 3, text.size());
    auto [stop, error] = std::from_chars(text.data() + i + 1, end, value, 16);
    if (error != std::errc() || stop != text.data() + i + 3) {
      return fail(Kind::invalid, "'{}' has a broken percent code", text);
    }
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

}  // namespace

bool Target::flag(const std::string& key) const {
  auto it = query.find(key);
  return it != query.end() && it->second != "false" && it->second != "0";
}

std::string Target::text(const std::string& key) const {
  auto it = query.find(key);
  return it == query.end() ? "" : it->second;
}

std::vector<std::string> Target::all(const std::string& key) const {
  std::vector<std::string> found;
  for (auto [it, end] = query.equal_range(key); it != end; ++it) {
    found.push_back(it->second);
  }
  return found;
}

Result<Target> parse_target(std::string_view target) {
  Target parsed;
  size_t question = target.find('?');
  std::string_view path = target.substr(0, question);
  std::string_view query = question == target.npos ? "" : target.substr(question + 1);
  auto take = [](std::string_view& rest, char end) {
    size_t at = rest.find(end);
    std::string_view piece = rest.substr(0, at);
    rest = at == rest.npos ? "" : rest.substr(at + 1);
    return piece;
  };
  while (!path.empty()) {
    KEELSON_TRY(auto segment, decode(take(path, '/'), ' '));
    if (!segment.empty()) {
      parsed.path.push_back(std::move(segment));
    }
  }
  while (!query.empty()) {
    std::string_view pair = take(query, '&');
    KEELSON_TRY(auto key, decode(take(pair, '='), '+'));
    KEELSON_TRY(auto value, decode(pair, '+'));
    if (!key.empty()) {
      parsed.query.emplace(std::move(key), std::move(value));
    }
  }
  return parsed;
}

}  // namespace keelson::http
