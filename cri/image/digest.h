// SPDX-License-Identifier: Apache-2.0
// SHA-256 as registries write it.
#pragma once

#include <string>
#include <string_view>

#include "common/sha256.h"

namespace keelson::cri::image {

/// "sha256:<hex>"
std::string digest_text(const Sha256Digest& digest);

/// The same of `data`.
std::string sha256_of(std::string_view data);

}  // namespace keelson::cri::image
