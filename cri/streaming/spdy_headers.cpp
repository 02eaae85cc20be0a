// SPDX-License-Identifier: Apache-2.0
// spdy_headers.h.
#include "cri/streaming/spdy_headers.h"

#include <zlib.h>

#include <algorithm>

#include "cri/streaming/big_endian.h"

namespace keelson::cri {

namespace {

// Each of these stands in the dictionary with its length before it, as in a block.
constexpr std::string_view kWords[] = {
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
};
constexpr std::string_view kTail =
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

constexpr int kWindowBits = 11;  // the dictionary fits; 8 KiB a connection instead of 256
constexpr int kMemoryLevel = 1;

const Bytef* bytes_of(std::string_view text) {
  return reinterpret_cast<const Bytef*>(text.data());
}

// The length-prefixed strings of an inflated block, one after the other.
class BlockReader {
 public:
  explicit BlockReader(std::string_view block) : left_(block) {}

  Result<uint32_t> number() {
    if (left_.size() < 4) {
      return fail(Kind::invalid, "SPDY header block ends early");
    }
    const auto value = big_endian_32(left_);
    left_.remove_prefix(4);
    return value;
  }
  Result<std::string> text() {
    KEELSON_TRY(const auto size, number());
    if (size > left_.size()) {
      return fail(Kind::invalid, "SPDY header block: a string of {} bytes where {} are left", size, left_.size());
    }
    std::string value(left_.substr(0, size));
    left_.remove_prefix(size);
    return value;
  }
  bool at_end() const { return left_.empty(); }

 private:
  std::string_view left_;
};

Result<SpdyHeaders> parse_block(std::string_view block) {
  BlockReader reader(block);
  SpdyHeaders headers;
  KEELSON_TRY(const auto count, reader.number());
  for (uint32_t i = 0; i < count; ++i) {
    KEELSON_TRY(auto name, reader.text());
    KEELSON_TRY(auto value, reader.text());
    if (name.empty() || std::ranges::any_of(name, [](char c) { return c >= 'A' && c <= 'Z'; })) {
      return fail(Kind::invalid, "SPDY header name \"{}\": want lower case", name);
    }
    if (!headers.emplace(name, std::move(value)).second) {
      return fail(Kind::invalid, "SPDY header \"{}\" stands twice", name);
    }
  }
  if (!reader.at_end()) {
    return fail(Kind::invalid, "SPDY header block goes on after its {} headers", count);
  }
  return headers;
}

}  // namespace

std::string_view spdy_dictionary() {
  static const std::string dictionary = [] {
    std::string text;
    for (const auto word : kWords) {
      append_32(text, static_cast<uint32_t>(word.size()));
      text += word;
    }
    text += kTail;
    return text;
  }();
  return dictionary;
}

struct HeaderDeflater::Stream {
  Stream() {
    deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, kWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY);
    const auto dictionary = spdy_dictionary();
    deflateSetDictionary(&z, bytes_of(dictionary), static_cast<uInt>(dictionary.size()));
  }
  ~Stream() { deflateEnd(&z); }
  z_stream z{};
};

HeaderDeflater::HeaderDeflater() : stream_(std::make_unique<Stream>()) {}
HeaderDeflater::~HeaderDeflater() = default;

std::string HeaderDeflater::compress(const SpdyHeaders& headers) {
  std::string block;
  append_32(block, static_cast<uint32_t>(headers.size()));
  for (const auto& [name, value] : headers) {
    append_32(block, static_cast<uint32_t>(name.size()));
    block += name;
    append_32(block, static_cast<uint32_t>(value.size()));
    block += value;
  }
  std::string out;
  auto& z = stream_->z;
  z.next_in = const_cast<Bytef*>(bytes_of(block));
  z.avail_in = static_cast<uInt>(block.size());
  do {
    char chunk[1024];
    z.next_out = reinterpret_cast<Bytef*>(chunk);
    z.avail_out = sizeof chunk;
    deflate(&z, Z_SYNC_FLUSH);
    out.append(chunk, sizeof chunk - z.avail_out);
  } while (z.avail_out == 0);
  return out;
}

struct HeaderInflater::Stream {
  Stream() { inflateInit(&z); }  // if it fails, so does every inflate()
  ~Stream() { inflateEnd(&z); }
  z_stream z{};
};

HeaderInflater::HeaderInflater() : stream_(std::make_unique<Stream>()) {}
HeaderInflater::~HeaderInflater() = default;

Result<SpdyHeaders> HeaderInflater::decompress(std::string_view block) {
  std::string out;
  auto& z = stream_->z;
  z.next_in = const_cast<Bytef*>(bytes_of(block));
  z.avail_in = static_cast<uInt>(block.size());
  while (true) {
    char chunk[2048];
    z.next_out = reinterpret_cast<Bytef*>(chunk);
    z.avail_out = sizeof chunk;
    auto code = inflate(&z, Z_SYNC_FLUSH);
    if (code == Z_NEED_DICT) {
      const auto dictionary = spdy_dictionary();
      code = inflateSetDictionary(&z, bytes_of(dictionary), static_cast<uInt>(dictionary.size()));
    }
    if (code != Z_OK && code != Z_BUF_ERROR) {  // the second: nothing more to do with what is there
      return fail(Kind::invalid, "SPDY header block does not inflate: {}", z.msg != nullptr ? z.msg : "end of stream");
    }
    out.append(chunk, sizeof chunk - z.avail_out);
    if (out.size() > kMostHeaderBytes) {
      return fail(Kind::exhausted, "SPDY headers of over {} bytes", kMostHeaderBytes);
    }
    if (z.avail_in == 0 && z.avail_out != 0) {
      return parse_block(out);
    }
    if (code == Z_BUF_ERROR) {
      return fail(Kind::invalid, "SPDY header block does not inflate");
    }
  }
}

}  // namespace keelson::cri
