// SPDX-License-Identifier: Apache-2.0
// Base64 as JSON carries bytes, and Go's quoting of text in messages.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace keelson::kube {

/// Standard alphabet with padding; line ends are skipped, as Go does. Nothing if it is anything else.
std::optional<std::string> decode_base64(std::string_view text);
std::string encode_base64(std::string_view bytes);

/// "text" in quotes with escapes, at most 120 bytes of it: how messages show a value.
std::string quoted(std::string_view text);

}  // namespace keelson::kube
