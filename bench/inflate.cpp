// SPDX-License-Identifier: Apache-2.0
// The libraries' own streaming loops.
#include "bench/inflate.h"

#include <zlib.h>
#include <zstd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "bench/machine.h"

namespace keelson::bench {

namespace {

constexpr size_t kPiece = 128 << 10;

[[noreturn]] void damaged() {
  std::fprintf(stderr, "bench: a blob that is neither gzip nor zstd, or is damaged\n");
  std::exit(1);
}

double inflate_gzip(const std::string& blob, std::vector<char>& piece) {
  z_stream stream{};
  ::inflateInit2(&stream, 15 + 16);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(blob.data()));
  stream.avail_in = static_cast<uInt>(blob.size());
  int code = Z_OK;
  while (code == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    code = ::inflate(&stream, Z_NO_FLUSH);
  }
  const auto bytes = static_cast<double>(stream.total_out);
  ::inflateEnd(&stream);
  return code == Z_STREAM_END ? bytes : (damaged(), 0);
}

double inflate_zstd(const std::string& blob, std::vector<char>& piece) {
  auto* stream = ::ZSTD_createDStream();
  ZSTD_inBuffer in{blob.data(), blob.size(), 0};
  double bytes = 0;
  while (in.pos < in.size) {
    ZSTD_outBuffer out{piece.data(), piece.size(), 0};
    if (::ZSTD_isError(::ZSTD_decompressStream(stream, &out, &in)) != 0) {
      damaged();
    }
    bytes += static_cast<double>(out.pos);
  }
  ::ZSTD_freeDStream(stream);
  return bytes;
}

}  // namespace

Inflated inflate(const std::string& blob) {
  std::vector<char> piece(kPiece);
  const auto begin = Clock::now();
  const double bytes = blob.starts_with("\x1f\x8b") ? inflate_gzip(blob, piece) : inflate_zstd(blob, piece);
  return {since_ms(begin), bytes};
}

}  // namespace keelson::bench
