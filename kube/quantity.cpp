// SPDX-License-Identifier: Apache-2.0
// Parsing and canonical printing of quantities, in 128-bit nanos so that nothing is lost.
#include "kube/quantity.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

namespace keelson::kube {

namespace {

using Int = __int128;
using Unsigned = unsigned __int128;

constexpr Int kNanos = 1'000'000'000;
constexpr Int kBound = static_cast<Int>(std::numeric_limits<int64_t>::max()) * kNanos;

constexpr std::array<std::pair<std::string_view, int>, 10> kDecimal = {
    {{"n", -9}, {"u", -6}, {"m", -3}, {"", 0}, {"k", 3}, {"M", 6}, {"G", 9}, {"T", 12}, {"P", 15}, {"E", 18}}};
constexpr std::array<std::string_view, 7> kBinary = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};

Int clamp(Int nanos) {
  return std::clamp(nanos, -kBound, kBound);
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// The three parts of a quantity's text.
struct Parts {
  bool negative = false;
  std::string digits;  ///< Without the dot and without leading zeros.
  int fraction = 0;    ///< How many of them stand after the dot.
  std::string_view suffix;
};

std::optional<Parts> split(std::string_view text) {
  Parts parts;
  size_t at = 0;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    parts.negative = text[0] == '-';
    at = 1;
  }
  bool dot = false;
  bool any = false;
  for (; at < text.size() && (is_digit(text[at]) || (text[at] == '.' && !dot)); ++at) {
    if (text[at] == '.') {
      dot = true;
      continue;
    }
    any = true;
    parts.fraction += dot ? 1 : 0;
    if (text[at] != '0' || !parts.digits.empty()) {
      parts.digits += text[at];
    }
  }
  parts.suffix = text.substr(at);
  return any ? std::optional(std::move(parts)) : std::nullopt;
}

/// digits * 10^exponent nanos, rounded away from zero; the bound where it is larger.
Int scaled(std::string_view digits, int64_t exponent) {
  Int value = 0;
  bool rest = false;
  const auto length = static_cast<int64_t>(digits.size());
  for (int64_t i = 0; i < length + std::max<int64_t>(exponent, 0); ++i) {
    if (i >= length + exponent) {
      rest = rest || digits[i] != '0';
      continue;
    }
    value = value * 10 + (i < length ? digits[i] - '0' : 0);
    if (value > kBound || (value == 0 && i >= length)) {
      break;
    }
  }
  return clamp(value + (rest ? 1 : 0));
}

/// digits (with `fraction` of them after the dot) * 1024^power in nanos, rounded away from zero.
Int binary_scaled(std::string_view digits, int fraction, int power) {
  const Unsigned multiplier = Unsigned(1) << (10 * power);
  std::string padded(std::max<int>(0, fraction - static_cast<int>(digits.size())), '0');
  padded += digits;
  const std::string_view all = padded;
  const std::string_view whole = all.substr(0, all.size() - fraction);
  std::string_view part = all.substr(all.size() - fraction);
  bool rest = part.size() > 18 && part.substr(18).find_first_not_of('0') != std::string_view::npos;
  part = part.substr(0, 18);
  Unsigned integer = 0;
  for (const char c : whole) {
    integer = integer * 10 + (c - '0');
    if (integer > Unsigned(std::numeric_limits<int64_t>::max())) {
      return kBound;
    }
  }
  Unsigned numerator = 0;
  Unsigned denominator = 1;
  for (const char c : part) {
    numerator = numerator * 10 + (c - '0');
    denominator *= 10;
  }
  numerator *= multiplier;
  const Unsigned units = integer * multiplier + numerator / denominator;
  if (units >= Unsigned(std::numeric_limits<int64_t>::max())) {
    return kBound;
  }
  const Unsigned below = numerator % denominator * Unsigned(kNanos);
  rest = rest || below % denominator != 0;
  return clamp(static_cast<Int>(units * Unsigned(kNanos) + below / denominator) + (rest ? 1 : 0));
}

/// The exponent of "e3", "E-06"; nothing if the suffix is not one.
std::optional<int64_t> parse_exponent(std::string_view suffix) {
  if (suffix.size() < 2 || (suffix[0] != 'e' && suffix[0] != 'E')) {
    return std::nullopt;
  }
  size_t at = 1;
  const bool negative = suffix[at] == '-';
  at += negative || suffix[at] == '+' ? 1 : 0;
  if (at == suffix.size()) {
    return std::nullopt;
  }
  int64_t value = 0;
  for (; at < suffix.size(); ++at) {
    if (!is_digit(suffix[at]) || value > 100'000) {
      return std::nullopt;
    }
    value = value * 10 + (suffix[at] - '0');
  }
  return negative ? -value : value;
}

std::string print(Int value) {
  if (value == 0) {
    return "0";
  }
  const bool negative = value < 0;
  std::string text;
  for (; value != 0; value /= 10) {
    const int digit = static_cast<int>(value % 10);
    text += static_cast<char>('0' + (digit < 0 ? -digit : digit));
  }
  if (negative) {
    text += '-';
  }
  std::ranges::reverse(text);
  return text;
}

}  // namespace

Result<Quantity> Quantity::parse(std::string_view text) {
  const auto wrong = [] {
    return fail(Kind::invalid,
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
  };
  const auto parts = split(text);
  if (!parts) {
    return wrong();
  }
  const auto made = [&](Int size, Format format) { return Quantity(parts->negative ? -size : size, format); };
  for (const auto& [suffix, exponent] : kDecimal) {
    if (parts->suffix == suffix) {
      return made(scaled(parts->digits, exponent + 9 - parts->fraction), Format::decimal_si);
    }
  }
  for (size_t power = 1; power < kBinary.size(); ++power) {
    if (parts->suffix == kBinary[power]) {
      return made(binary_scaled(parts->digits, parts->fraction, static_cast<int>(power)), Format::binary_si);
    }
  }
  if (const auto exponent = parse_exponent(parts->suffix)) {
    return made(scaled(parts->digits, *exponent + 9 - parts->fraction), Format::decimal_exponent);
  }
  return wrong();
}

std::string Quantity::to_string() const {
  if (nanos_ == 0) {
    return "0";
  }
  const Int bytes = nanos_ / kNanos;
  const bool whole = nanos_ % kNanos == 0;
  if (format_ == Format::binary_si && whole && (bytes <= -1024 || bytes >= 1024)) {
    Int mantissa = bytes;
    size_t power = 0;
    for (; mantissa % 1024 == 0 && power + 1 < kBinary.size(); ++power) {
      mantissa /= 1024;
    }
    return print(mantissa).append(kBinary[power]);
  }
  Int mantissa = nanos_;
  int exponent = -9;
  for (; mantissa % 1000 == 0 && exponent < 18; exponent += 3) {
    mantissa /= 1000;
  }
  if (format_ == Format::decimal_exponent) {
    return exponent == 0 ? print(mantissa) : print(mantissa) + "e" + std::to_string(exponent);
  }
  const auto* suffix = std::ranges::find(kDecimal, exponent, [](const auto& entry) { return entry.second; });
  return print(mantissa).append(suffix->first);
}

int64_t Quantity::divided(Int unit) const {
  Int quotient = nanos_ / unit;
  if (nanos_ % unit != 0) {
    quotient += nanos_ < 0 ? -1 : 1;
  }
  constexpr Int kMost = std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(std::clamp(quotient, -kMost, kMost));
}

int64_t Quantity::in_units_of(const Quantity& unit) const {
  return unit.zero() ? whole() : divided(unit.nanos_);
}

Quantity Quantity::rounded_up_to_milli() const {
  constexpr Int kMilli = kNanos / 1000;
  const Int rest = nanos_ % kMilli;
  const Int up = rest == 0 ? 0 : rest < 0 ? -kMilli - rest : kMilli - rest;
  return Quantity(clamp(nanos_ + up), format_);
}

Quantity& Quantity::operator+=(const Quantity& other) {
  if (zero()) {
    format_ = other.format_;
  }
  nanos_ = clamp(nanos_ + other.nanos_);
  return *this;
}

Quantity& Quantity::operator-=(const Quantity& other) {
  if (zero()) {
    format_ = other.format_;
  }
  nanos_ = clamp(nanos_ - other.nanos_);
  return *this;
}

}  // namespace keelson::kube
