// SPDX-License-Identifier: Apache-2.0
// The channels of remote commands, as bytes: no sockets here.
//
// Over WebSocket each message starts with a channel byte: 0 stdin, 1 stdout, 2 stderr, 3 error (a metav1.Status at the
// end), 4 resize. v5 adds 255: "channel N is closed" (KEP-4006). Over SPDY each channel is a stream (spdy_channels.h).
// Source: k8s.io/apimachinery remotecommand constants.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace keelson::cri {

enum class Channel : uint8_t { in = 0, out = 1, err = 2, error = 3, resize = 4, close = 255 };

inline constexpr std::string_view kProtocolV5 = "v5.channel.k8s.io";
inline constexpr std::string_view kProtocolV4 = "v4.channel.k8s.io";

/// The protocols of Sec-WebSocket-Protocol, comma-separated, in the client's order.
std::vector<std::string_view> names_in(std::string_view offered);

/// WebSocket: the newest of ours that is in the client's comma-separated offer; nullopt if none is.
std::optional<std::string_view> choose_protocol(std::string_view offered);

/// A terminal's size, in characters.
struct TerminalSize {
  uint16_t width;
  uint16_t height;
};
/// `{"Width":80,"Height":24}`. Kind::invalid on anything else.
Result<TerminalSize> parse_resize(std::string_view json);

/// How a command ended, as a metav1.Status: Success for exit code 0; for another, Failure with reason NonZeroExitCode
/// and the code as cause; for one that could not be run or was lost, Failure with InternalError and the text.
std::string ending_json(const Result<int>& ending);
/// The same as text, for protocols that know no Status; empty for exit code 0.
std::string ending_text(const Result<int>& ending);

}  // namespace keelson::cri
