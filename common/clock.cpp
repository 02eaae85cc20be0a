// SPDX-License-Identifier: Apache-2.0
// The real clock, and times as text.
#include "common/clock.h"

#include <fmt/format.h>

#include <cstdio>
#include <ctime>

namespace keelson {

namespace {

class RealClock : public Clock {
 public:
  SteadyTime steady() const override { return std::chrono::steady_clock::now(); }
  WallTime wall() const override { return std::chrono::system_clock::now(); }
};

std::string calendar(WallTime time) {
  auto seconds = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
  std::time_t value = seconds;
  std::tm tm{};
  ::gmtime_r(&value, &tm);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                     tm.tm_min, tm.tm_sec);
}

}  // namespace

Clock& real_clock() {
  static RealClock clock;
  return clock;
}

std::string format_rfc3339(WallTime time) {
  return calendar(time) + "Z";
}

std::string format_rfc3339_nano(WallTime time) {
  auto since = time.time_since_epoch();
  auto nanos = (since - std::chrono::floor<std::chrono::seconds>(since)).count();
  return fmt::format("{}.{:09}Z", calendar(time), nanos);
}

Result<WallTime> parse_rfc3339(const std::string& text) {
  std::tm tm{};
  int used = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
                  &tm.tm_min, &tm.tm_sec, &used) != 6) {
    return fail(Kind::invalid, "'{}' is not an RFC 3339 time", text);
  }
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  Duration time = std::chrono::seconds(::timegm(&tm));
  auto at = static_cast<size_t>(used);
  if (at < text.size() && text[at] == '.') {
    int64_t unit = 100'000'000;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10) {
      time += std::chrono::nanoseconds((text[at] - '0') * unit);
    }
  }
  std::string zone = text.substr(at);
  if (zone != "Z" && zone != "z") {
    int hours = 0;
    int minutes = 0;
    char sign = 0;
    if (zone.size() != 6 || std::sscanf(zone.c_str(), "%c%2d:%2d", &sign, &hours, &minutes) != 3 ||
        (sign != '+' && sign != '-')) {
      return fail(Kind::invalid, "'{}' is not an RFC 3339 time: the zone is missing or wrong", text);
    }
    Duration offset = std::chrono::hours(hours) + std::chrono::minutes(minutes);
    time += sign == '+' ? -offset : offset;
  }
  return WallTime(time);
}

std::string human_duration(Duration age) {
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(age).count();
  if (seconds < 0) {
    return "0s";
  }
  if (seconds < 120) {
    return fmt::format("{}s", seconds);
  }
  auto minutes = seconds / 60;
  if (minutes < 10) {
    return seconds % 60 == 0 ? fmt::format("{}m", minutes) : fmt::format("{}m{}s", minutes, seconds % 60);
  }
  if (minutes < 180) {
    return fmt::format("{}m", minutes);
  }
  auto hours = minutes / 60;
  if (hours < 8) {
    return minutes % 60 == 0 ? fmt::format("{}h", hours) : fmt::format("{}h{}m", hours, minutes % 60);
  }
  if (hours < 48) {
    return fmt::format("{}h", hours);
  }
  auto days = hours / 24;
  if (hours < 192) {
    return hours % 24 == 0 ? fmt::format("{}d", days) : fmt::format("{}d{}h", days, hours % 24);
  }
  return fmt::format("{}d", days);
}

}  // namespace keelson
