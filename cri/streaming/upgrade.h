// SPDX-License-Identifier: Apache-2.0
// The HTTP before a session: which upgrade a request wants, which protocol both know, and the answers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/beast/http.hpp>

#include "common/loop.h"
#include "http/stream.h"

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
/// Of commands: the newest of Sec-WebSocket-Protocol that we know, v5 or v4.channel.k8s.io. Of forwards: the first that
/// we know, kForwardTunnel, kForwardV4 or kForwardBase64; "" if the client names none, which is kForwardV4 unsaid.
std::optional<std::string> choose_websocket_protocol(const Request& request, bool forwards);
inline constexpr std::string_view kForwardTunnel = "SPDY/3.1+portforward.k8s.io";
inline constexpr std::string_view kForwardV4 = "v4.channel.k8s.io";
inline constexpr std::string_view kForwardBase64 = "v4.base64.channel.k8s.io";

/// The ports of a URL's query: "?port=80,443&port=8080". Kind::invalid: none, or one that is no port (the kubelet's
/// words).
Result<std::vector<uint16_t>> ports_of(const Request& request);

/// 101, with the protocol.
Response accept_spdy(const std::string& protocol);
/// 400 if the client names no protocol; 403 and ours if it names others (as k8s.io/apimachinery httpstream.Handshake).
Response refuse_spdy(const Request& request, bool forwards);
/// 400 with the protocols that we know.
Response refuse_websocket(bool forwards);
/// 400, with why.
Response refuse_question(const Error& error);
/// 400: neither upgrade.
Response refuse_plain();
/// 404: used, too old, or never made.
Response refuse_token();

Task<> send_response(keelson::http::Stream* socket, Response response);
/// The same, and then Kind::invalid with its text.
Task<> send_refusal(keelson::http::Stream* socket, Response response);

}  // namespace keelson::cri
