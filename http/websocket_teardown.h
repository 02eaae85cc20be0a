// SPDX-License-Identifier: Apache-2.0
// What Beast's WebSocket asks of the stream below it: an orderly end, and a sudden one. For whoever makes a
// boost::beast::websocket::stream<http::Stream>; Beast finds them by the stream's namespace.
#pragma once

#include <utility>

#include <boost/beast/core/role.hpp>
#include <boost/beast/websocket/teardown.hpp>

#include "http/stream.h"

namespace keelson::http {

template <class Handler>
void async_teardown(boost::beast::role_type role, Stream& stream, Handler&& handler) {
  if (auto* tls = stream.tls()) {
    tls->async_shutdown(std::forward<Handler>(handler));
  } else {
    boost::beast::websocket::async_teardown(role, stream.socket(), std::forward<Handler>(handler));
  }
}

inline void beast_close_socket(Stream& stream) {
  boost::system::error_code ignored;
  stream.socket().close(ignored);
}

}  // namespace keelson::http
