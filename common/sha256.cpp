// SPDX-License-Identifier: Apache-2.0
// OpenSSL's EVP.
#include "common/sha256.h"

#include <openssl/evp.h>

namespace keelson {

Sha256::Sha256() : context_(::EVP_MD_CTX_new()) {
  ::EVP_DigestInit_ex(context_, ::EVP_sha256(), nullptr);
}
Sha256::~Sha256() {
  ::EVP_MD_CTX_free(context_);
}

void Sha256::update(std::string_view data) {
  ::EVP_DigestUpdate(context_, data.data(), data.size());
}

Sha256Digest Sha256::finish() {
  Sha256Digest digest{};
  ::EVP_DigestFinal_ex(context_, digest.data(), nullptr);
  return digest;
}

Sha256Digest sha256(std::string_view data) {
  Sha256 hash;
  hash.update(data);
  return hash.finish();
}

std::string hex_of(const Sha256Digest& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const auto byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string sha256_hex(std::string_view data) {
  return hex_of(sha256(data));
}

}  // namespace keelson
