// SPDX-License-Identifier: Apache-2.0
// Logging for daemons: one line an event, key facts in the text, to stderr (journald adds the rest).
//
// Rooms below agent/ and cmd/ return errors rather than log them; who handles an error logs it, once. Never log a
// secret.
#pragma once

#include <fmt/core.h>

#include <string_view>
#include <utility>

namespace keelson::log {

enum class Level { debug, info, warning, error, off };

/// Lines below this level are dropped. Default info. Thread-safe.
void set_level(Level level);
bool enabled(Level level);
/// Writes one line: time, level, thread name, text. Thread-safe; never fails, never throws.
void write(Level level, std::string_view text);

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) {
    write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
/// Says what was wrong and that we go on: "..., retrying in 2 s".
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace keelson::log
