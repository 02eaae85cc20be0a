// SPDX-License-Identifier: Apache-2.0
// One connection's requests and their answers.
#pragma once

#include <memory>

#include "common/loop.h"
#include "http/server.h"
#include "http/stream.h"

namespace keelson::http {

/// From the TLS handshake to the last answer. Errors are the client's affair: it left, or spoke no HTTP.
Task<> serve_connection(Loop& loop, std::shared_ptr<Stream> stream, Answer answer, ServerOptions options);

}  // namespace keelson::http
