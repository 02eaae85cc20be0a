// SPDX-License-Identifier: Apache-2.0
// json.h.
#include "cri/shim/oci/json.h"

#include <fmt/format.h>

#include <charconv>

namespace keelson::cri::shim::oci {

namespace {

std::string utf8_of(unsigned code) {
  if (code < 0x80) {
    return {static_cast<char>(code)};
  }
  if (code < 0x800) {
    return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
  }
  return {static_cast<char>(0xe0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3f)),
          static_cast<char>(0x80 | (code & 0x3f))};
}

char unescaped(char letter) {
  switch (letter) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    default:
      return letter;
  }
}

}  // namespace

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') {
      out += '\\';
      out += letter;
    } else if (static_cast<unsigned char>(letter) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(letter));
    } else {
      out += letter;
    }
  }
  return out + "\"";
}

std::string quoted_list(const std::vector<std::string>& texts) {
  std::vector<std::string> values;
  for (const auto& text : texts) {
    values.push_back(quoted(text));
  }
  return array(values);
}

std::string array(const std::vector<std::string>& values) {
  std::string out = "[";
  for (const auto& value : values) {
    out += out.size() > 1 ? "," : "";
    out += value;
  }
  return out + "]";
}

std::string text_of(std::string_view object, std::string_view name) {
  const auto key = quoted(name) + ":";
  auto at = object.find(key);
  if (at == std::string_view::npos) {
    return {};
  }
  at = object.find_first_not_of(' ', at + key.size());
  if (at == std::string_view::npos || object[at] != '"') {
    return {};
  }
  std::string text;
  for (++at; at < object.size() && object[at] != '"'; ++at) {
    if (object[at] != '\\') {
      text += object[at];
    } else if (++at < object.size() && object[at] == 'u') {
      const auto digits = object.substr(at + 1, 4);
      unsigned code = 0;
      std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
      text += utf8_of(code);
      at += digits.size();
    } else if (at < object.size()) {
      text += unescaped(object[at]);
    }
  }
  return text;
}

Object& Object::put(std::string_view name, std::string_view value) {
  members_ += members_.empty() ? "" : ",";
  members_ += quoted(name);
  members_ += ':';
  members_ += value;
  return *this;
}

}  // namespace keelson::cri::shim::oci
