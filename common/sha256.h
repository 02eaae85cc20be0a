// SPDX-License-Identifier: Apache-2.0
// SHA-256, by OpenSSL: a target of its own, for the shim and the plugin link none of it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace keelson {

using Sha256Digest = std::array<uint8_t, 32>;

/// Of what passes by. Belongs to one thread.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::string_view data);
  /// Of all so far; update() must not follow.
  Sha256Digest finish();

 private:
  evp_md_ctx_st* context_;
};

Sha256Digest sha256(std::string_view data);

/// 64 hexadecimal digits.
std::string hex_of(const Sha256Digest& digest);
std::string sha256_hex(std::string_view data);

}  // namespace keelson
