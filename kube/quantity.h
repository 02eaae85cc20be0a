// SPDX-License-Identifier: Apache-2.0
// Exact amounts of CPU, memory and anything else counted: "250m", "64Mi", "1.5", "2e3" (apimachinery
// resource.Quantity).
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/result.h"

namespace keelson::kube {

/// A number of at most 2^63-1 in size, kept exactly to a billionth, with the suffix family it was written in.
/// As in Kubernetes: finer parts than a billionth are rounded away from zero, larger numbers are held at the bound.
/// Two quantities compare by value alone: 1Gi == 1024Mi, 1 == 1000m.
class Quantity {
 public:
  enum class Format {
    decimal_si,        ///< n u m "" k M G T P E: powers of 1000.
    binary_si,         ///< Ki Mi Gi Ti Pi Ei: powers of 1024.
    decimal_exponent,  ///< e3, E-6: powers of ten.
  };

  /// Zero, decimal.
  constexpr Quantity() = default;
  /// Whole units: bytes, CPUs, pods.
  static constexpr Quantity of(int64_t whole, Format format = Format::decimal_si) {
    return Quantity(static_cast<__int128>(whole) * kNano, format);
  }
  /// Thousandths: of_milli(250) is "250m".
  static constexpr Quantity of_milli(int64_t milli) {
    return Quantity(static_cast<__int128>(milli) * (kNano / 1000), Format::decimal_si);
  }
  /// sign? digits with at most one dot, then nothing, an SI suffix, a binary suffix, or e/E and a signed exponent.
  /// Kind::invalid otherwise, with the API server's own text.
  static Result<Quantity> parse(std::string_view text);

  /// The canonical form, as the API prints it: the largest suffix that leaves an integer ("0.5" -> "500m", "2048Ki" ->
  /// "2Mi", "1000Ki" stays). A binary quantity under 1024, or not whole, prints in decimal.
  std::string to_string() const;

  /// Whole units, rounded up (away from zero): 1.5 -> 2, 100m -> 1. What a byte count for a cgroup is.
  int64_t whole() const { return divided(kNano); }
  /// Thousandths, rounded up; held at +-(2^63-1). What a CPU share is computed from.
  int64_t milli() const { return divided(kNano / 1000); }
  /// The number of `unit`s in it, rounded up: what resourceFieldRef's divisor asks for. A zero unit counts as 1.
  int64_t in_units_of(const Quantity& unit) const;

  /// The same amount without what is finer than a thousandth, rounded up: what the API server stores for resources.
  Quantity rounded_up_to_milli() const;

  constexpr bool zero() const { return nanos_ == 0; }
  constexpr bool negative() const { return nanos_ < 0; }
  /// True if it is a whole number: pods, bytes and hugepages must be.
  constexpr bool integral() const { return nanos_ % kNano == 0; }
  constexpr Format format() const { return format_; }

  /// Sums keep the format of the left side, unless that is zero. Held at the bound, never wraps.
  Quantity& operator+=(const Quantity& other);
  Quantity& operator-=(const Quantity& other);
  friend Quantity operator+(Quantity a, const Quantity& b) { return a += b; }
  friend Quantity operator-(Quantity a, const Quantity& b) { return a -= b; }

  friend constexpr bool operator==(const Quantity& a, const Quantity& b) { return a.nanos_ == b.nanos_; }
  friend constexpr std::strong_ordering operator<=>(const Quantity& a, const Quantity& b) {
    return a.nanos_ < b.nanos_   ? std::strong_ordering::less
           : a.nanos_ > b.nanos_ ? std::strong_ordering::greater
                                 : std::strong_ordering::equal;
  }

 private:
  static constexpr int64_t kNano = 1'000'000'000;
  constexpr Quantity(__int128 nanos, Format format) : nanos_(nanos), format_(format) {}
  int64_t divided(__int128 unit) const;

  __int128 nanos_ = 0;
  Format format_ = Format::decimal_si;
};

/// Resource name ("cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "vendor.com/x") -> amount.
using ResourceList = std::map<std::string, Quantity>;

}  // namespace keelson::kube
