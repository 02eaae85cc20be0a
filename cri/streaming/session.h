// SPDX-License-Identifier: Apache-2.0
// One streaming connection: HTTP upgrade, then a WebSocket that carries a process's streams.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "common/loop.h"
#include "cri/streaming/tokens.h"

namespace keelson::cri {

/// Serves one accepted connection to its end. `tokens` and `loop` outlive it. Errors of the connection are the
/// client's.
Task<> serve_connection(Loop& loop, Tokens& tokens, asio::ip::tcp::socket socket);

}  // namespace keelson::cri
