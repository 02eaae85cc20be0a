// SPDX-License-Identifier: Apache-2.0
// spdy_frames.h.
//
//   control: 1 version(15) type(16) | flags(8) length(24) | body        data: 0 stream(31) | flags(8) length(24) |
//   bytes
#include "cri/streaming/spdy_frames.h"

#include <utility>

#include "cri/streaming/big_endian.h"

namespace keelson::cri {

namespace {

constexpr size_t kHead = 8;
constexpr uint32_t kControl = 0x80000000;
constexpr uint16_t kVersion = 3;
constexpr uint8_t kFin = 1;
constexpr uint32_t kId = 0x7fffffff;

std::string control(SpdyType type, bool fin, std::string_view body) {
  std::string frame;
  append_32(frame, kControl | kVersion << 16 | std::to_underlying(type));
  append_32(frame, (fin ? kFin << 24 : 0) | static_cast<uint32_t>(body.size()));
  frame += body;
  return frame;
}

std::string control_of_two(SpdyType type, uint32_t first, uint32_t second) {
  std::string body;
  append_32(body, first);
  append_32(body, second);
  return control(type, false, body);
}

// How long a frame's body is at least, and whether it may be longer; nullopt: a type that we skip.
struct Shape {
  size_t size;
  bool exact;
};
std::optional<Shape> shape_of(uint16_t type) {
  switch (static_cast<SpdyType>(type)) {
    case SpdyType::syn_stream:
      return Shape{10, false};
    case SpdyType::syn_reply:
    case SpdyType::headers:
    case SpdyType::settings:
      return Shape{4, false};
    case SpdyType::rst_stream:
    case SpdyType::go_away:
    case SpdyType::window_update:
      return Shape{8, true};
    case SpdyType::ping:
      return Shape{4, true};
    default:
      return std::nullopt;
  }
}

// Where the header block begins, of the types that have one.
std::optional<size_t> block_offset(SpdyType type) {
  switch (type) {
    case SpdyType::syn_stream:
      return 10;  // after the stream, the associated stream, the priority and the credential slot
    case SpdyType::syn_reply:
    case SpdyType::headers:
      return 4;
    default:
      return std::nullopt;
  }
}

}  // namespace

void SpdyParser::feed(std::string_view bytes) {
  buffer_.erase(0, std::exchange(used_, 0));
  buffer_ += bytes;
}

Result<std::optional<SpdyFrame>> SpdyParser::next() {
  while (true) {
    if (open_) {
      if (left().empty()) {
        return std::nullopt;
      }
      return take_data();
    }
    if (left().size() < kHead) {
      return std::nullopt;
    }
    const auto first = big_endian_32(left());
    const auto second = big_endian_32(left().substr(4));
    const auto flags = static_cast<uint8_t>(second >> 24);
    const size_t length = second & 0xffffff;
    if ((first & kControl) == 0) {
      if (first == 0) {
        return fail(Kind::invalid, "SPDY data for stream 0");
      }
      used_ += kHead;
      open_ = SpdyFrame{
          .type = SpdyType::data, .id = first, .fin = (flags & kFin) != 0, .status = 0, .headers = {}, .data = {}};
      open_left_ = length;
      if (length == 0) {
        return std::exchange(open_, std::nullopt);
      }
      continue;
    }
    if (((first >> 16) & 0x7fff) != kVersion) {
      return fail(Kind::invalid, "SPDY version {}: want {}", (first >> 16) & 0x7fff, kVersion);
    }
    if (length > kMostControlBytes) {
      return fail(Kind::exhausted, "SPDY control frame of {} bytes: at most {}", length, kMostControlBytes);
    }
    if (left().size() < kHead + length) {
      return std::nullopt;
    }
    const auto body = left().substr(kHead, length);
    used_ += kHead + length;
    KEELSON_TRY(auto frame, take_control(static_cast<uint16_t>(first), flags, body));
    if (frame) {
      return frame;
    }
  }
}

SpdyFrame SpdyParser::take_data() {
  const auto portion = left().substr(0, open_left_);
  used_ += portion.size();
  open_left_ -= portion.size();
  SpdyFrame frame = *open_;
  frame.data = portion;
  if (open_left_ == 0) {
    open_.reset();
  } else {
    frame.fin = false;
  }
  return frame;
}

Result<std::optional<SpdyFrame>> SpdyParser::take_control(uint16_t type, uint8_t flags, std::string_view body) {
  const auto shape = shape_of(type);
  if (!shape) {
    return std::nullopt;
  }
  if (body.size() < shape->size || (shape->exact && body.size() != shape->size)) {
    return fail(Kind::invalid, "SPDY frame of type {} with {} bytes", type, body.size());
  }
  SpdyFrame frame;
  frame.type = static_cast<SpdyType>(type);
  frame.id = big_endian_32(body);
  if (frame.type == SpdyType::settings) {
    return frame;
  }
  if (frame.type != SpdyType::ping) {
    frame.id &= kId;
  }
  if (frame.id == 0 && frame.type != SpdyType::go_away && frame.type != SpdyType::window_update) {
    return fail(Kind::invalid, "SPDY frame of type {} for stream 0", type);
  }
  if (const auto offset = block_offset(frame.type)) {
    frame.fin = (flags & kFin) != 0;
    KEELSON_TRY(frame.headers, inflater_.decompress(body.substr(*offset)));
  } else if (shape->size == 8) {
    frame.status = big_endian_32(body.substr(4));
  }
  return frame;
}

std::string SpdyWriter::syn_stream(uint32_t stream, const SpdyHeaders& headers, bool fin) {
  std::string body;
  append_32(body, stream);
  append_32(body, 0);
  body.append(2, '\0');
  return control(SpdyType::syn_stream, fin, body + deflater_.compress(headers));
}

std::string SpdyWriter::syn_reply(uint32_t stream, const SpdyHeaders& headers) {
  std::string body;
  append_32(body, stream);
  return control(SpdyType::syn_reply, false, body + deflater_.compress(headers));
}

std::string SpdyWriter::data(uint32_t stream, std::string_view bytes, bool fin) {
  std::string frame;
  frame.reserve(kHead + bytes.size());
  append_32(frame, stream);
  append_32(frame, (fin ? kFin << 24 : 0) | static_cast<uint32_t>(bytes.size()));
  frame += bytes;
  return frame;
}

std::string SpdyWriter::rst_stream(uint32_t stream, SpdyReset status) {
  return control_of_two(SpdyType::rst_stream, stream, std::to_underlying(status));
}

std::string SpdyWriter::ping(uint32_t id) {
  std::string body;
  append_32(body, id);
  return control(SpdyType::ping, false, body);
}

std::string SpdyWriter::go_away(uint32_t last_stream) {
  return control_of_two(SpdyType::go_away, last_stream, 0);
}

}  // namespace keelson::cri
