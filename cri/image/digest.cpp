// SPDX-License-Identifier: Apache-2.0
#include "cri/image/digest.h"

namespace keelson::cri::image {

std::string digest_text(const Sha256Digest& digest) {
  return "sha256:" + hex_of(digest);
}

std::string sha256_of(std::string_view data) {
  return digest_text(sha256(data));
}

}  // namespace keelson::cri::image
