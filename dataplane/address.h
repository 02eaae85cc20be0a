// SPDX-License-Identifier: Apache-2.0
// Addresses as the data planes hold them: one shape for both families.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keelson::dataplane {

/// The number that an IP header has in its first four bits.
enum class Family : uint8_t { ipv4 = 4, ipv6 = 6 };

/// An IPv4 or IPv6 address. IPv4 is kept as ::ffff:a.b.c.d (RFC 4291 2.5.5.2), so both sort and compare in one way;
/// such an address given as IPv6 text *is* the IPv4 address. A plain value.
struct Address {
  std::array<uint8_t, 16> bytes{};  ///< Network order.

  /// `host_order`: 0x0a000001 is 10.0.0.1.
  static Address v4(uint32_t host_order);
  /// "10.0.0.1", "fd00::1". Nothing for anything else: no zone, no brackets, no leading zeros.
  static std::optional<Address> parse(std::string_view text);

  Family family() const;
  bool is_v4() const { return family() == Family::ipv4; }
  bool is_unspecified() const;  ///< 0.0.0.0 or ::.
  bool is_loopback() const;     ///< 127.0.0.0/8 or ::1.
  /// The four bytes of an IPv4 address as they stand in a packet. Meaningless for IPv6.
  uint32_t v4_network_order() const;
  std::string to_string() const;

  auto operator<=>(const Address&) const = default;
};

/// A range of addresses. The bits after `length` are zero.
struct Prefix {
  Address address;
  uint8_t length = 0;  ///< In bits of the address's own family: 0 .. 32 or 0 .. 128.

  /// "10.0.0.0/8", "fd00::/8"; bits after the length are cleared. An address alone is one of /32 or /128.
  static std::optional<Prefix> parse(std::string_view text);
  /// False for an address of the other family.
  bool contains(const Address& candidate) const;
  std::string to_string() const;

  auto operator<=>(const Prefix&) const = default;
};

}  // namespace keelson::dataplane
