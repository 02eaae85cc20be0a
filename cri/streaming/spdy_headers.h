// SPDX-License-Identifier: Apache-2.0
// SPDY/3 header blocks: name-value pairs, compressed by zlib with a fixed dictionary. Bytes only, no sockets.
//
// One compressor and one decompressor live as long as the connection: each block continues the zlib stream of the one
// before, so blocks must be made and read in the order of the wire, and one bad block ends the connection.
// Source: SPDY Protocol, Draft 3, section 2.6.10.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"

namespace keelson::cri {

/// Names are lower case. Several values of one name are one string with NULs between.
using SpdyHeaders = std::map<std::string, std::string>;

/// A block inflates to this at most: a small compressed block must not become a large one.
inline constexpr size_t kMostHeaderBytes = 64 << 10;

/// "The SPDY dictionary": 1423 bytes, Adler-32 0xe3c6a7c2.
std::string_view spdy_dictionary();

/// Makes blocks, one direction of one connection.
class HeaderDeflater {
 public:
  HeaderDeflater();
  ~HeaderDeflater();
  std::string compress(const SpdyHeaders& headers);

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

/// Reads blocks, one direction of one connection. After an error it must not be used again.
class HeaderInflater {
 public:
  HeaderInflater();
  ~HeaderInflater();
  /// Kind::invalid: not zlib, another dictionary, lengths that do not fit, a name twice or not in lower case;
  /// Kind::exhausted: over kMostHeaderBytes.
  Result<SpdyHeaders> decompress(std::string_view block);

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

}  // namespace keelson::cri
