// SPDX-License-Identifier: Apache-2.0
// go_quote.h.
#include "agent/config/go_quote.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace keelson::agent {

namespace {

struct Range {
  char32_t first;
  char32_t last;
};

/// Unicode's spaces, controls, marks of format, surrogates and private characters beyond ASCII.
constexpr Range kInvisible[] = {{0x80, 0xa0},       {0xad, 0xad},       {0x600, 0x605},     {0x61c, 0x61c},
                                {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},     {0x8e2, 0x8e2},
                                {0x1680, 0x1680},   {0x180e, 0x180e},   {0x2000, 0x200f},   {0x2028, 0x202f},
                                {0x205f, 0x206f},   {0x3000, 0x3000},   {0xd800, 0xf8ff},   {0xfdd0, 0xfdef},
                                {0xfeff, 0xfeff},   {0xfff0, 0xfffb},   {0xfffe, 0xffff},   {0x110bd, 0x110bd},
                                {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
                                {0xe0000, 0xe00ff}, {0xe01f0, 0x10ffff}};

struct Character {
  char32_t code = 0;
  size_t bytes = 0;  ///< 0: no UTF-8
};

Character decode(std::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(text[at]); };
  const uint8_t lead = byte(0);
  const size_t size = lead < 0x80                   ? 1
                      : lead >= 0xc2 && lead < 0xe0 ? 2
                      : (lead >> 4) == 0xe          ? 3
                      : lead >> 3 == 0x1e           ? 4
                                                    : 0;
  if (size == 0 || size > text.size()) {
    return {};
  }
  char32_t code = size == 1 ? lead : lead & (0x7f >> size);
  for (size_t at = 1; at < size; ++at) {
    if (byte(at) >> 6 != 2) {
      return {};
    }
    code = code << 6 | (byte(at) & 0x3f);
  }
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return code < kLeast[size] || code > 0x10ffff || surrogate ? Character() : Character{code, size};
}

std::string escaped(char32_t code) {
  constexpr std::string_view kNames = "abtnvfr";  // from BEL (7) to CR (13)
  if (code >= 7 && code <= 13) {
    return std::string("\\") + kNames[code - 7];
  }
  if (code < 0x20 || code == 0x7f) {
    return fmt::format("\\x{:02x}", static_cast<uint32_t>(code));
  }
  return code < 0x10000 ? fmt::format("\\u{:04x}", static_cast<uint32_t>(code))
                        : fmt::format("\\U{:08x}", static_cast<uint32_t>(code));
}

bool is_printable(char32_t code) {
  return code >= 0x20 && code != 0x7f && std::ranges::none_of(kInvisible, [code](const Range& range) {
           return code >= range.first && code <= range.last;
         });
}

}  // namespace

std::string go_quoted(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const auto [code, bytes] = decode(text);
    if (bytes == 0) {
      out += fmt::format("\\x{:02x}", static_cast<uint8_t>(text[0]));
    } else if (code == '"' || code == '\\') {
      out += {'\\', text[0]};
    } else if (is_printable(code)) {
      out += text.substr(0, bytes);
    } else {
      out += escaped(code);
    }
    text.remove_prefix(std::max<size_t>(bytes, 1));
  }
  return out + '"';
}

}  // namespace keelson::agent
