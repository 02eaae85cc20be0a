// SPDX-License-Identifier: Apache-2.0
// Values of settings, with errors that name the setting.
#pragma once

#include <charconv>
#include <string>
#include <string_view>

#include "common/duration.h"
#include "common/result.h"

namespace keelson::cli {

/// Kind::invalid.
inline Result<int64_t> parse_count(std::string_view key, const std::string& text, int64_t least, int64_t most) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most) {
    return fail(Kind::invalid, "{}: '{}' is not a number from {} to {}", key, text, least, most);
  }
  return number;
}

/// One second at least. Kind::invalid.
inline Result<Duration> parse_period(std::string_view key, const std::string& text) {
  KEELSON_TRY(auto period, parse_duration(text).context("{}", key));
  if (period < std::chrono::seconds(1)) {
    return fail(Kind::invalid, "{}: '{}' is less than 1s", key, text);
  }
  return period;
}

}  // namespace keelson::cli
