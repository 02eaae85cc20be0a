// SPDX-License-Identifier: Apache-2.0
// The hash of the kubelet's checkpoints: FNV-1a of 32 bits (Go's hash/fnv).
#pragma once

#include <cstdint>
#include <string_view>

namespace keelson {

constexpr uint32_t fnv1a_32(std::string_view bytes) {
  uint32_t hash = 2166136261U;
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 16777619U;
  }
  return hash;
}

}  // namespace keelson
