// SPDX-License-Identifier: Apache-2.0
// The least time in which one core uncompresses a blob: the limit of a pull on that core.
#pragma once

#include <string>

namespace keelson::bench {

struct Inflated {
  double ms = 0;
  double bytes = 0;  ///< plain
};

/// By zlib (gzip) or libzstd, from memory to memory in pieces that fit the cache; nothing else is done with them. Ends
/// the bench if the blob is damaged.
Inflated inflate(const std::string& blob);

}  // namespace keelson::bench
