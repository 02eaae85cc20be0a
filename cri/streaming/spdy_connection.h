// SPDX-License-Identifier: Apache-2.0
// The server's end of one SPDY connection: frames in, frames out, pings answered.
//
// One coroutine reads (next()), any number write. Without flow control (spdy_frames.h) a client that does not read
// blocks all writers, and whoever does not call next() blocks the client: that is the back-pressure.
#pragma once

#include <boost/asio/experimental/channel.hpp>

#include "cri/streaming/byte_stream.h"
#include "cri/streaming/spdy_frames.h"

namespace keelson::cri {

/// Belongs to the loop's thread. A write() that is cancelled may leave half a frame: cancel only with the connection.
class SpdyConnection {
 public:
  SpdyConnection(Loop& loop, std::unique_ptr<ByteStream> bytes);

  /// The next SYN_STREAM, DATA or RST_STREAM; the rest is dealt with inside. Stream numbers of SYN_STREAM are odd and
  /// rise. Errors end the connection: Kind::cancelled: the client said GOAWAY; unavailable: it left; invalid,
  /// exhausted: it broke the protocol.
  Task<SpdyFrame> next();
  /// Accepts a stream. Goes out with the next write or next().
  void reply(uint32_t stream);
  /// Ends a stream both ways. Goes out with the next write or next().
  void reset(uint32_t stream, SpdyReset why);
  /// Sends now what reply() and reset() have queued.
  Task<> flush() { return write_queued(true); }
  /// Waits until the connection has taken the bytes.
  Task<> write(uint32_t stream, std::string bytes, bool fin = false);
  /// GOAWAY, and an orderly end of the connection.
  Task<> close();
  /// Ends when the connection is broken, even while nobody calls next().
  Task<> lost() { return bytes_->lost(); }
  /// Breaks the connection at once; every call under way fails.
  void drop() { bytes_->drop(); }

 private:
  void queue_control(std::string frame);
  Task<> write_queued(bool wait);

  std::unique_ptr<ByteStream> bytes_;
  SpdyParser parser_;
  SpdyWriter writer_;
  uint32_t last_stream_ = 0;
  std::string queue_;
  size_t queued_control_ = 0;                                             // bytes of it that the client caused
  asio::experimental::channel<void(boost::system::error_code)> writing_;  // full while someone writes
};

}  // namespace keelson::cri
