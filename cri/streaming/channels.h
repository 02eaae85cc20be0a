// SPDX-License-Identifier: Apache-2.0
// The channel protocol of remote commands over WebSocket, as bytes: no sockets here.
//
// Each message starts with a channel byte: 0 stdin, 1 stdout, 2 stderr, 3 error (a metav1.Status at the end), 4 resize.
// v5 adds 255: "channel N is closed" (KEP-4006). Source: k8s.io/apimachinery remotecommand constants.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace keelson::cri {

enum class Channel : uint8_t { in = 0, out = 1, err = 2, error = 3, resize = 4, close = 255 };

inline constexpr std::string_view kProtocolV5 = "v5.channel.k8s.io";
inline constexpr std::string_view kProtocolV4 = "v4.channel.k8s.io";

/// The newest of ours that is in the client's comma-separated offer; nullopt if none is.
std::optional<std::string_view> choose_protocol(std::string_view offered);

/// A terminal's size, in characters.
struct TerminalSize {
  uint16_t width;
  uint16_t height;
};
/// `{"Width":80,"Height":24}`. Kind::invalid on anything else.
Result<TerminalSize> parse_resize(std::string_view json);

/// The Status of a command that ended: Success for 0, else Failure with reason NonZeroExitCode and the code as cause.
std::string exit_status_json(int exit_code);
/// The Status of a command that could not be run or was lost: Failure, InternalError, with the text.
std::string failure_json(std::string_view message);

}  // namespace keelson::cri
