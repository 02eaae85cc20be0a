// SPDX-License-Identifier: Apache-2.0
// What SPDY runs over: the upgraded connection, or binary WebSocket messages (a tunnel, KEP-4006).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <boost/beast/websocket/stream.hpp>

#include "common/loop.h"
#include "cri/streaming/idle_watch.h"
#include "http/websocket_teardown.h"

namespace keelson::cri {

using WebSocket = boost::beast::websocket::stream<keelson::http::Stream>;

/// Belongs to the loop's thread; one read and one write at a time. Destroying it drops the connection.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// At least one byte, at most 32 KiB, valid until the next read. Kind::unavailable or cancelled when the peer has
  /// left.
  virtual Task<std::string_view> read() = 0;
  virtual Task<> write(std::string bytes) = 0;
  /// No more is written; what was, reaches the peer. Ends when the peer has closed too, within a second or so.
  virtual Task<> close() = 0;
  /// Ends when the connection is broken, even while nobody reads it. Not on the peer's orderly end.
  virtual Task<> lost() = 0;
  /// Breaks the connection at once; reads and writes under way fail.
  virtual void drop() = 0;
};

/// `already_read` came behind the HTTP request. `idle` outlives the stream.
std::unique_ptr<ByteStream> make_plain_bytes(Loop& loop, keelson::http::Stream socket, std::string already_read,
                                             IdleWatch& idle);
/// `socket` is accepted.
std::unique_ptr<ByteStream> make_websocket_bytes(Loop& loop, WebSocket socket, IdleWatch& idle);

}  // namespace keelson::cri
