// SPDX-License-Identifier: Apache-2.0
// The HTTP before a session: which upgrade a request wants, which protocol both know, and the answers.
#pragma once

#include <optional>
#include <string>

#include <boost/beast/http.hpp>

#include "cri/streaming/client_socket.h"

namespace keelson::cri {

namespace http = boost::beast::http;
using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

enum class Upgrade { none, websocket, spdy };
/// By the headers Connection and Upgrade.
Upgrade upgrade_of(const Request& request);

/// The last part of "/exec/<token>".
std::string token_of(const Request& request);

/// The first of the client's X-Stream-Protocol-Version that we know: channel.k8s.io and its v2 to v4, or
/// portforward.k8s.io if `forwards`.
std::optional<std::string> choose_spdy_protocol(const Request& request, bool forwards);
/// The newest of Sec-WebSocket-Protocol that we know: v5 or v4.channel.k8s.io, or SPDY/3.1+portforward.k8s.io.
std::optional<std::string> choose_websocket_protocol(const Request& request, bool forwards);

/// 101, with the protocol.
Response accept_spdy(const std::string& protocol);
/// 400 if the client names no protocol; 403 and ours if it names others (as k8s.io/apimachinery httpstream.Handshake).
Response refuse_spdy(const Request& request, bool forwards);
/// 400 with the protocols that we know.
Response refuse_websocket(bool forwards);
/// 400: neither upgrade.
Response refuse_plain();
/// 404: used, too old, or never made.
Response refuse_token();

Task<> send_response(ClientSocket* socket, Response response);
/// The same, and then Kind::invalid with its text.
Task<> send_refusal(ClientSocket* socket, Response response);

}  // namespace keelson::cri
