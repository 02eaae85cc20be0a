// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648 section 4), with padding.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"

namespace keelson {

std::string base64_of(std::string_view bytes);
/// Kind::invalid, without the text: it may be a secret.
Result<std::string> from_base64(std::string_view text);

}  // namespace keelson
