// SPDX-License-Identifier: Apache-2.0
// Ethernet frames as packet_fuzz makes them and judges them: a builder, a parser and checksums of its own, written from
// the RFCs and slow, so that an error of the programs is not made here a second time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/address.h"

namespace keelson::fuzz {

using dataplane::Address;
using Frame = std::vector<uint8_t>;

inline constexpr size_t kEthernet = 14;
inline constexpr uint8_t kTcp = 6, kUdp = 17, kSctp = 132, kIcmp = 1, kIcmp6 = 58;

struct Flow {
  Address src, dst;
  uint16_t sport = 0, dport = 0;
  uint8_t protocol = 0;
  auto operator<=>(const Flow&) const = default;
  Flow reversed() const { return {dst, src, dport, sport, protocol}; }
  std::string to_string() const;
};

enum class Part { whole, first, later };

/// What services look at. Only of frames that they may touch: parse() gives nothing for all others.
struct Parsed {
  bool v6 = false;
  Flow flow;  ///< Without ports: ICMP, later fragments.
  size_t l4 = 0;
  uint16_t length = 0;  ///< Of the IP packet, as its header says.
  uint8_t ttl = 0, tcp_flags = 0, icmp_type = 0;
  Part part = Part::whole;
  uint32_t fragment_id = 0;
  bool plain = true;  ///< No options or extension headers but a fragment's.
  bool is_icmp() const { return flow.protocol == (v6 ? kIcmp6 : kIcmp); }
  bool is_icmp_error() const;
  size_t l3_size() const { return l4 - kEthernet; }
};

std::optional<Parsed> parse(const Frame& frame);
/// The packet that an ICMP error quotes: its flow, and where its headers begin. Nothing if it has no ports.
struct Quote {
  Flow flow;
  size_t l3 = 0, l4 = 0;
};
std::optional<Quote> parse_quote(const Frame& frame, const Parsed& error);

uint16_t get16(const Frame& frame, size_t at);
void put16(Frame& frame, size_t at, uint16_t value);
Address get_address(const Frame& frame, size_t at, bool v6);
void put_address(Frame& frame, size_t at, const Address& address, bool v6);

/// The ones' complement sum of a range, folded; 0 and 0xffff are the same number.
uint16_t sum(const uint8_t* data, size_t size, uint64_t start = 0);
/// 0 where the checksum of an IPv4 header is right, else by how much it is wrong.
uint16_t header_error(const Frame& frame, size_t l3);
/// The same for TCP, UDP, ICMP and ICMPv6 behind `l4`, over all bytes of the frame that follow.
uint16_t transport_error(const Frame& frame, const Parsed& parsed);

/// What a frame is made of. IPv6 extension headers are a list of types, each of 8 bytes.
struct Plan {
  Flow flow;
  uint8_t ttl = 64;
  uint8_t tcp_flags = 0x10;
  size_t option_words = 0;
  std::vector<uint8_t> extensions;
  Part part = Part::whole;
  uint16_t fragment_id = 0;
  bool no_udp_checksum = false;
  Frame payload;  ///< Behind the transport header; of ICMP what follows its first four bytes.
  uint8_t icmp_type = 0, icmp_code = 0;
};
/// With right lengths and checksums.
Frame build(const Plan& plan);
/// Writes both checksums anew where the frame is one that parse() knows.
void fix_checksums(Frame& frame);

std::string hex(const Frame& frame);

}  // namespace keelson::fuzz
