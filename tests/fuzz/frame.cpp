// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/frame.h"

#include <fmt/format.h>

#include <algorithm>

namespace keelson::fuzz {
namespace {

constexpr size_t kMostExtensions = 6;
constexpr size_t kFurthestTransport = 511;

bool is_extension(uint8_t type) {
  return type == 0 || type == 43 || type == 60 || type == 44 || type == 51;
}

// Ports, flags and the type of a message; false: the header is not all there, or of another protocol.
bool parse_transport(const Frame& frame, Parsed& parsed) {
  if (parsed.part == Part::later) {
    return true;
  }
  size_t needed = 0;
  switch (parsed.flow.protocol) {
    case kTcp:
      needed = 20;
      break;
    case kSctp:
      needed = 12;
      break;
    case kUdp:
    case kIcmp:
    case kIcmp6:
      needed = 8;
      break;
    default:
      return false;
  }
  if (parsed.l4 > kFurthestTransport || parsed.l4 + needed > frame.size()) {
    return false;
  }
  if (parsed.flow.protocol == kIcmp || parsed.flow.protocol == kIcmp6) {
    parsed.icmp_type = frame[parsed.l4];
    return true;
  }
  parsed.flow.sport = get16(frame, parsed.l4);
  parsed.flow.dport = get16(frame, parsed.l4 + 2);
  parsed.tcp_flags = parsed.flow.protocol == kTcp ? frame[parsed.l4 + 13] : 0;
  return true;
}

bool parse4(const Frame& frame, Parsed& parsed) {
  if (frame.size() < kEthernet + 20 || frame[14] >> 4 != 4 || (frame[14] & 15) < 5) {
    return false;
  }
  size_t header = (frame[14] & 15) * 4;
  parsed.plain = header == 20;
  parsed.l4 = kEthernet + header;
  parsed.length = get16(frame, 16);
  parsed.ttl = frame[22];
  parsed.flow = {get_address(frame, 26, false), get_address(frame, 30, false), 0, 0, frame[23]};
  uint16_t fragment = get16(frame, 20) & 0x3fff;
  if (fragment != 0) {
    parsed.part = fragment & 0x1fff ? Part::later : Part::first;
    parsed.fragment_id = get16(frame, 18);
  }
  return parsed.length >= header && parse_transport(frame, parsed);
}

bool parse6(const Frame& frame, Parsed& parsed) {
  if (frame.size() < kEthernet + 40 || frame[14] >> 4 != 6) {
    return false;
  }
  parsed.length = static_cast<uint16_t>(get16(frame, 18) + 40);
  parsed.ttl = frame[21];
  parsed.flow = {get_address(frame, 22, true), get_address(frame, 38, true), 0, 0, 0};
  uint8_t next = frame[20];
  size_t at = kEthernet + 40;
  for (size_t many = 0; many < kMostExtensions && is_extension(next); many++) {
    if (at > kFurthestTransport || at + 8 > frame.size()) {
      return false;
    }
    uint8_t type = next;
    next = frame[at];
    if (type != 44) {
      parsed.plain = false;
      at += type == 51 ? (frame[at + 1] + 2) * 4 : (frame[at + 1] + 1) * 8;
      continue;
    }
    uint16_t fragment = get16(frame, at + 2);
    parsed.fragment_id = static_cast<uint32_t>(get16(frame, at + 4)) << 16 | get16(frame, at + 6);
    at += 8;
    if (fragment & 0xfff8) {
      parsed.part = Part::later;
      break;
    }
    if (fragment & 1) {
      parsed.part = Part::first;
    } else {
      parsed.plain = false;
    }
  }
  parsed.flow.protocol = next;
  parsed.l4 = at;
  return parse_transport(frame, parsed);
}

bool has_ports(uint8_t protocol) {
  return protocol == kTcp || protocol == kUdp || protocol == kSctp;
}

}  // namespace

std::string Flow::to_string() const {
  return fmt::format("{} {}:{} > {}:{}", protocol, src.to_string(), sport, dst.to_string(), dport);
}

bool Parsed::is_icmp_error() const {
  if (v6) {
    return icmp_type >= 1 && icmp_type <= 4;
  }
  return icmp_type == 3 || icmp_type == 4 || icmp_type == 11 || icmp_type == 12;
}

std::optional<Parsed> parse(const Frame& frame) {
  Parsed parsed;
  if (frame.size() < kEthernet) {
    return std::nullopt;
  }
  uint16_t type = get16(frame, 12);
  parsed.v6 = type == 0x86dd;
  if ((type != 0x0800 && !parsed.v6) || !(parsed.v6 ? parse6(frame, parsed) : parse4(frame, parsed))) {
    return std::nullopt;
  }
  if (!has_ports(parsed.flow.protocol) && !parsed.is_icmp()) {
    return std::nullopt;
  }
  return parsed;
}

std::optional<Quote> parse_quote(const Frame& frame, const Parsed& error) {
  Quote quote;
  quote.l3 = error.l4 + 8;
  size_t header = error.v6 ? 40 : 20;
  if (quote.l3 + header > frame.size()) {
    return std::nullopt;
  }
  if (error.v6) {
    quote.flow = {get_address(frame, quote.l3 + 8, true), get_address(frame, quote.l3 + 24, true), 0, 0,
                  frame[quote.l3 + 6]};
  } else {
    uint8_t first = frame[quote.l3];
    if (first >> 4 != 4 || (first & 15) < 5 || (get16(frame, quote.l3 + 6) & 0x1fff)) {
      return std::nullopt;
    }
    header = (first & 15) * 4;
    quote.flow = {get_address(frame, quote.l3 + 12, false), get_address(frame, quote.l3 + 16, false), 0, 0,
                  frame[quote.l3 + 9]};
  }
  quote.l4 = quote.l3 + header;
  if (!has_ports(quote.flow.protocol) || quote.l4 + 4 > frame.size()) {
    return std::nullopt;
  }
  quote.flow.sport = get16(frame, quote.l4);
  quote.flow.dport = get16(frame, quote.l4 + 2);
  return quote;
}

uint16_t get16(const Frame& frame, size_t at) {
  return static_cast<uint16_t>(frame.at(at) << 8 | frame.at(at + 1));
}

void put16(Frame& frame, size_t at, uint16_t value) {
  frame.at(at) = static_cast<uint8_t>(value >> 8);
  frame.at(at + 1) = static_cast<uint8_t>(value);
}

Address get_address(const Frame& frame, size_t at, bool v6) {
  Address address;
  if (v6) {
    std::copy_n(frame.begin() + static_cast<ptrdiff_t>(at), 16, address.bytes.begin());
    return address;
  }
  address.bytes[10] = address.bytes[11] = 0xff;
  std::copy_n(frame.begin() + static_cast<ptrdiff_t>(at), 4, address.bytes.begin() + 12);
  return address;
}

void put_address(Frame& frame, size_t at, const Address& address, bool v6) {
  std::copy(address.bytes.begin() + (v6 ? 0 : 12), address.bytes.end(), frame.begin() + static_cast<ptrdiff_t>(at));
}

uint16_t sum(const uint8_t* data, size_t size, uint64_t start) {
  uint64_t total = start;
  for (size_t i = 0; i < size; i++) {
    total += i % 2 ? data[i] : data[i] << 8;
  }
  while (total >> 16) {
    total = (total & 0xffff) + (total >> 16);
  }
  return static_cast<uint16_t>(total);
}

uint16_t header_error(const Frame& frame, size_t l3) {
  size_t size = std::min<size_t>((frame.at(l3) & 15) * 4, frame.size() - l3);
  return static_cast<uint16_t>(sum(&frame[l3], size) % 0xffff);
}

uint16_t transport_error(const Frame& frame, const Parsed& parsed) {
  size_t size = frame.size() - parsed.l4;
  uint64_t start = 0;
  if (parsed.flow.protocol != kIcmp) {
    start = parsed.v6 ? sum(&frame[22], 32) : sum(&frame[26], 8);
    start += parsed.flow.protocol + size;
  }
  return static_cast<uint16_t>(sum(frame.data() + parsed.l4, size, start) % 0xffff);
}

std::string hex(const Frame& frame) {
  std::string text;
  for (auto byte : frame) {
    text += fmt::format("{:02x}", byte);
  }
  return text;
}

}  // namespace keelson::fuzz
