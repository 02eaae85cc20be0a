// SPDX-License-Identifier: Apache-2.0
// SPDY/3 frames as values: a parser fed with bytes in any portions, and a writer. No sockets.
//
// A connection carries streams, each a pair of byte flows with headers; frames of all streams are mixed. Kubernetes'
// peers (moby/spdystream) call it SPDY/3.1 but know no flow control: they send no WINDOW_UPDATE and wait for none.
// So neither do we; what limits a sender is the TCP connection. Source: SPDY Protocol, Draft 3, section 2.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cri/streaming/spdy_headers.h"

namespace keelson::cri {

/// The numbers are the wire's; data frames have none.
enum class SpdyType : uint16_t {
  data = 0,
  syn_stream = 1,  // opens a stream
  syn_reply = 2,   // accepts it
  rst_stream = 3,  // ends it both ways at once
  settings = 4,
  ping = 6,
  go_away = 7,  // no new streams; the sender is about to close
  headers = 8,
  window_update = 9,
};

/// Why a stream was reset.
enum class SpdyReset : uint32_t { protocol_error = 1, invalid_stream = 2, refused = 3, cancel = 5, internal_error = 6 };

struct SpdyFrame {
  SpdyType type = SpdyType::data;
  uint32_t id = 0;      // the stream's; a ping's own; of go_away, the last stream that was taken
  bool fin = false;     // the sender's half of the stream ends here
  uint32_t status = 0;  // of rst_stream and go_away
  SpdyHeaders headers;
  std::string data;
};

/// Control frames (the header block is compressed) are at most this long.
inline constexpr size_t kMostControlBytes = 64 << 10;

/// Bytes to frames; one direction of one connection. Memory: what was fed and not yet asked for, no more.
class SpdyParser {
 public:
  /// More bytes from the peer.
  void feed(std::string_view bytes);
  /// The next frame; nullopt until more is fed. A long data frame comes in portions, as its bytes do, `fin` with the
  /// last. Frames of unknown type are skipped. Errors (after which the connection is lost): Kind::invalid: another
  /// version, a length that does not fit the type, stream 0, a bad header block; Kind::exhausted: a limit.
  Result<std::optional<SpdyFrame>> next();

 private:
  std::string_view left() const { return std::string_view(buffer_).substr(used_); }
  SpdyFrame take_data();
  Result<std::optional<SpdyFrame>> take_control(uint16_t type, uint8_t flags, std::string_view body);

  std::string buffer_;
  size_t used_ = 0;
  std::optional<SpdyFrame> open_;  // the data frame whose bytes are still coming
  size_t open_left_ = 0;
  HeaderInflater inflater_;
};

/// Frames to bytes; one direction of one connection. Frames with headers must reach the wire in the order made.
class SpdyWriter {
 public:
  std::string syn_stream(uint32_t stream, const SpdyHeaders& headers, bool fin = false);
  std::string syn_reply(uint32_t stream, const SpdyHeaders& headers = {});
  /// `bytes` is under 16 MiB.
  static std::string data(uint32_t stream, std::string_view bytes, bool fin = false);
  static std::string rst_stream(uint32_t stream, SpdyReset status);
  static std::string ping(uint32_t id);
  static std::string go_away(uint32_t last_stream);

 private:
  HeaderDeflater deflater_;
};

}  // namespace keelson::cri
