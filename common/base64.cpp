// SPDX-License-Identifier: Apache-2.0
// base64.h by OpenSSL.
#include "common/base64.h"

#include <openssl/evp.h>

#include <algorithm>

namespace keelson {

std::string base64_of(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  const auto* from = reinterpret_cast<const unsigned char*>(bytes.data());
  out.resize(static_cast<size_t>(::EVP_EncodeBlock(to, from, static_cast<int>(bytes.size()))));
  return out;
}

Result<std::string> from_base64(std::string_view text) {
  std::string out(text.size() + 4, '\0');
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  const auto* from = reinterpret_cast<const unsigned char*>(text.data());
  const int size = ::EVP_DecodeBlock(to, from, static_cast<int>(text.size()));
  const auto padding = text.size() - std::min(text.find_last_not_of('=') + 1, text.size());
  if (size < 0 || padding > 2) {
    return fail(Kind::invalid, "not base64");
  }
  out.resize(static_cast<size_t>(size) - std::min(padding, static_cast<size_t>(size)));  // it decodes padding to zeros
  return out;
}

}  // namespace keelson
