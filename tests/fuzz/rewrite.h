// SPDX-License-Identifier: Apache-2.0
// Whether a packet came out as it had to: byte for byte, checksums as right or as wrong as they were before.
#pragma once

#include <string>

#include "tests/fuzz/packet_reference.h"

namespace keelson::fuzz {

/// Larger than the way may let through, wrapped or not.
bool may_be_too_big(const Parsed& parsed);
/// Addresses that no ICMP error is sent to, and packets that none answers (RFC 1122 3.2.2, RFC 4443 2.4).
bool is_one_host(const Address& address);
bool may_be_answered(const Parsed& parsed);
/// What the kernel takes from no link: RFC 1812 5.3.7, and IPv4 addresses in an IPv6 header.
bool is_martian(const Parsed& parsed);

/// How far the packet's way goes: only what leaves at once has its TTL decremented and other MAC addresses.
struct Hop {
  bool mac_may_change = false;
  int ttl_less = 0;
};
/// Empty, or what is wrong, as all below.
std::string check_rewritten(const Frame& before, const Parsed& parsed, const Frame& after, const Mapping& mapping,
                            Hop hop);
std::string check_icmp_rewritten(const Frame& before, const Parsed& parsed, const Quote& quote, const Frame& after,
                                 const Mapping& mapping, Hop hop);
/// Of the same length, and its checksums as right as before.
std::string check_sums(const Frame& before, const Parsed& parsed, const Frame& after);
/// An ICMP error that answers the packet.
std::string check_answer(Hook hook, const Frame& before, const Parsed& parsed, const Frame& after, bool too_big);
std::string check_wrapped(const Frame& before, const Parsed& parsed, const Frame& after, const Mapping& mapping);

}  // namespace keelson::fuzz
