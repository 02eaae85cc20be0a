// SPDX-License-Identifier: Apache-2.0
// Numbers in network order inside strings, as SPDY has them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace keelson::cri {

/// The first four bytes; `bytes` has at least those.
inline uint32_t big_endian_32(std::string_view bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<uint8_t>(bytes[i]);
  }
  return value;
}

inline void append_32(std::string& to, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    to += static_cast<char>(value >> shift & 0xff);
  }
}

}  // namespace keelson::cri
