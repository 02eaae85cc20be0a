// SPDX-License-Identifier: Apache-2.0
// duration.h.
#include "common/duration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace keelson {

namespace {

using Nanoseconds = std::chrono::duration<double, std::nano>;

constexpr double kMost = 100.0 * 365 * 24 * 3600e9;
// Those that begin like another come first.
constexpr std::array<std::pair<std::string_view, double>, 6> kUnits = {
    {{"ms", 1e6}, {"us", 1e3}, {"ns", 1}, {"h", 3600e9}, {"m", 60e9}, {"s", 1e9}}};

/// Without the zeros at the end of a fraction.
std::string number_text(int64_t count, int64_t of_one, std::string_view unit) {
  auto text = fmt::format("{}", count / of_one);
  if (auto rest = count % of_one; rest != 0) {
    text += '.';
    for (auto digit = of_one / 10; rest != 0; digit /= 10) {
      text += static_cast<char>('0' + rest / digit);
      rest %= digit;
    }
  }
  return text.append(unit);
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  double sum = 0;
  auto rest = text == "0" ? std::string_view("0s") : text;
  do {
    double count = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), count, std::chars_format::fixed);
    const bool number = error == std::errc() && (rest[0] == '.' || (rest[0] >= '0' && rest[0] <= '9'));
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    const auto* unit = std::ranges::find_if(kUnits, [&](const auto& known) { return rest.starts_with(known.first); });
    sum += number && unit != kUnits.end() ? count * unit->second : kMost;
    if (!number || unit == kUnits.end() || sum >= kMost) {
      return fail(Kind::invalid, "'{}' is not a duration like 4h, 90s or 500ms", text);
    }
    rest.remove_prefix(unit->first.size());
  } while (!rest.empty());
  return std::chrono::round<Duration>(Nanoseconds(sum));
}

std::string duration_text(Duration time) {
  constexpr int64_t kMicro = 1'000, kMilli = 1'000'000, kSecond = 1'000'000'000;
  const int64_t all = std::chrono::nanoseconds(time).count();
  if (all < 0) {
    return "-" + duration_text(-time);
  }
  if (all < kSecond && all != 0) {
    return all < kMicro   ? fmt::format("{}ns", all)
           : all < kMilli ? number_text(all, kMicro, "\u00b5s")
                          : number_text(all, kMilli, "ms");
  }
  const int64_t minutes = all / kSecond / 60;
  const auto seconds = number_text(all % (60 * kSecond), kSecond, "s");
  return minutes >= 60 ? fmt::format("{}h{}m{}", minutes / 60, minutes % 60, seconds)
         : minutes > 0 ? fmt::format("{}m{}", minutes, seconds)
                       : seconds;
}

}  // namespace keelson
