// SPDX-License-Identifier: Apache-2.0
// One connection's requests and their answers.
#pragma once

#include <memory>

#include "common/loop.h"
#include "http/server.h"
#include "http/stream.h"
#include "http/waiting.h"

namespace keelson::http {

/// From the TLS handshake to the last answer; one of `waiting` whenever no request is under way, which outlives it.
/// Errors are the client's affair: it left, or spoke no HTTP.
Task<> serve_connection(Loop& loop, std::shared_ptr<Stream> stream, Answer answer, ServerOptions options,
                        Waiting& waiting);

}  // namespace keelson::http
