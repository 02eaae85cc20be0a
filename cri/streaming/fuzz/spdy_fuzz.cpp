// SPDX-License-Identifier: Apache-2.0
// Fuzzer: any bytes as an SPDY connection, in any portions. Nothing may crash, hang or come out larger than its limits;
// portions must not matter; and headers that are accepted must survive being written and read again.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "cri/streaming/spdy_frames.h"

namespace {

using namespace keelson;
using namespace keelson::cri;

void expect(bool good) {
  if (!good) {
    std::abort();
  }
}

struct Parsed {
  std::vector<SpdyFrame> frames;  // portions of data put together
  bool failed = false;
};

Parsed parse(std::string_view bytes, size_t portion) {
  SpdyParser parser;
  Parsed parsed;
  bool open = false;
  while (!bytes.empty() && !parsed.failed) {
    parser.feed(bytes.substr(0, portion));
    bytes.remove_prefix(std::min(portion, bytes.size()));
    while (true) {
      auto frame = parser.next();
      parsed.failed = !frame;
      if (!frame || !*frame) {
        break;
      }
      auto& last = **frame;
      const bool data = last.type == SpdyType::data;
      if (data && open && parsed.frames.back().id == last.id && !last.data.empty()) {
        parsed.frames.back().data += last.data;
        parsed.frames.back().fin = last.fin;
      } else {
        parsed.frames.push_back(std::move(last));
      }
      open = data && !parsed.frames.back().fin;
    }
  }
  return parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = parse(bytes, std::max<size_t>(size, 1));
  const auto parts = parse(bytes, 1 + size % 13);
  expect(whole.failed == parts.failed);
  SpdyWriter writer;
  SpdyParser reader;
  size_t carried = 0;
  for (const auto& frame : whole.frames) {
    carried += frame.data.size();
    size_t headers = 0;
    for (const auto& [name, value] : frame.headers) {
      headers += name.size() + value.size();
    }
    expect(headers <= kMostHeaderBytes);
    if (frame.type == SpdyType::syn_stream) {
      reader.feed(writer.syn_stream(frame.id, frame.headers, frame.fin));
      const auto again = reader.next();
      if (again) {  // what inflated well may be too long a frame when it does not deflate
        expect(*again && (*again)->headers == frame.headers && (*again)->fin == frame.fin);
      } else {
        expect(headers > kMostControlBytes / 2);
        break;
      }
    }
  }
  expect(carried <= size);
  return 0;
}
