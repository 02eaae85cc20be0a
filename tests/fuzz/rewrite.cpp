// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/rewrite.h"

#include <fmt/format.h>

#include <algorithm>

namespace keelson::fuzz {
namespace {

void copy(Frame& to, const Frame& from, size_t at, size_t size) {
  if (at + size <= to.size() && at + size <= from.size()) {
    std::copy_n(from.begin() + static_cast<ptrdiff_t>(at), size, to.begin() + static_cast<ptrdiff_t>(at));
  }
}

size_t checksum_of(const Parsed& parsed) {
  return parsed.l4 + (parsed.flow.protocol == kTcp ? 16 : parsed.flow.protocol == kUdp ? 6 : 2);
}

// The expected packet but for its checksums, which are taken from what came out and judged apart.
std::string compare(Frame expected, const Frame& after, const Parsed& parsed, Hop hop) {
  if (after.size() != expected.size()) {
    return fmt::format("{} bytes came out, {} went in", after.size(), expected.size());
  }
  if (hop.mac_may_change) {
    copy(expected, after, 0, 12);
  }
  uint8_t& ttl = expected[parsed.v6 ? 21 : 22];
  ttl = static_cast<uint8_t>(ttl - hop.ttl_less);
  if (!parsed.v6) {
    copy(expected, after, 24, 2);
  }
  auto different = std::mismatch(expected.begin(), expected.end(), after.begin());
  if (different.first != expected.end()) {
    auto place = different.first - expected.begin();
    return fmt::format("byte {} is {:02x} and should be {:02x}; expected but for checksums: {}", place,
                       *different.second, *different.first, hex(expected));
  }
  return {};
}

void put_ends(Frame& frame, const Parsed& parsed, const Mapping& mapping) {
  put_address(frame, parsed.v6 ? 22 : 26, mapping.to_src, parsed.v6);
  put_address(frame, parsed.v6 ? 38 : 30, mapping.to_dst, parsed.v6);
}

std::string same_errors(const Frame& before, const Parsed& parsed, const Frame& after) {
  if (!parsed.v6 && header_error(before, kEthernet) != header_error(after, kEthernet)) {
    return "the IPv4 header's checksum is not as right as before";
  }
  if (parsed.part == Part::later || parsed.flow.protocol == kSctp) {
    return {};
  }
  if (parsed.flow.protocol == kUdp && get16(before, checksum_of(parsed)) == 0) {
    return get16(after, checksum_of(parsed)) == 0 ? "" : "a UDP checksum where there was none";
  }
  if (parsed.flow.protocol == kUdp && get16(after, checksum_of(parsed)) == 0) {
    return "the UDP checksum became 0, which is none";
  }
  if (transport_error(before, parsed) != transport_error(after, parsed)) {
    return fmt::format("the transport's checksum was wrong by {}, now by {}", transport_error(before, parsed),
                       transport_error(after, parsed));
  }
  return {};
}

}  // namespace

bool may_be_too_big(const Parsed& parsed) {
  return parsed.length + 100 > surroundings().mtu;
}

bool is_one_host(const Address& address) {
  if (!address.is_v4()) {
    return !address.is_unspecified() && address.bytes[0] != 0xff;
  }
  return address.bytes[12] != 0 && address.bytes[12] < 224;
}

bool is_martian(const Parsed& parsed) {
  const Address &src = parsed.flow.src, &dst = parsed.flow.dst;
  if (parsed.v6) {
    return !is_one_host(src) || src.is_v4() || src.is_loopback() || dst.is_v4() || dst.is_loopback() ||
           dst.is_unspecified();
  }
  bool everybody = std::all_of(src.bytes.begin() + 12, src.bytes.end(), [](uint8_t byte) { return byte == 255; });
  bool group = src.bytes[12] >= 224 && src.bytes[12] < 240;
  return src.bytes[12] == 0 || src.is_loopback() || group || everybody || dst.is_loopback();
}

bool may_be_answered(const Parsed& parsed) {
  return parsed.plain && !parsed.is_icmp() && parsed.part == Part::whole && is_one_host(parsed.flow.src);
}

std::string check_rewritten(const Frame& before, const Parsed& parsed, const Frame& after, const Mapping& mapping,
                            Hop hop) {
  Frame expected = before;
  put_ends(expected, parsed, mapping);
  if (parsed.part != Part::later) {
    put16(expected, parsed.l4, mapping.to_sport);
    put16(expected, parsed.l4 + 2, mapping.to_dport);
    if (parsed.flow.protocol != kSctp) {
      copy(expected, after, checksum_of(parsed), 2);
    }
  }
  auto wrong = compare(expected, after, parsed, hop);
  return wrong.empty() ? same_errors(before, parsed, after) : wrong;
}

std::string check_icmp_rewritten(const Frame& before, const Parsed& parsed, const Quote& quote, const Frame& after,
                                 const Mapping& mapping, Hop hop) {
  Frame expected = before;
  put_ends(expected, parsed, mapping);
  put_address(expected, quote.l3 + (parsed.v6 ? 8 : 12), mapping.to_dst, parsed.v6);
  put_address(expected, quote.l3 + (parsed.v6 ? 24 : 16), mapping.to_src, parsed.v6);
  put16(expected, quote.l4, mapping.to_dport);
  put16(expected, quote.l4 + 2, mapping.to_sport);
  copy(expected, after, parsed.l4 + 2, 2);
  if (!parsed.v6) {
    copy(expected, after, quote.l3 + 10, 2);
  }
  auto wrong = compare(expected, after, parsed, hop);
  if (wrong.empty()) {
    wrong = same_errors(before, parsed, after);
  }
  if (wrong.empty() && !parsed.v6 && header_error(before, quote.l3) != header_error(after, quote.l3)) {
    wrong = "the quoted header's checksum is not as right as before";
  }
  return wrong;
}

std::string check_sums(const Frame& before, const Parsed& parsed, const Frame& after) {
  return after.size() == before.size() ? same_errors(before, parsed, after) : "another length came out";
}

std::string check_answer(Hook hook, const Frame& before, const Parsed& parsed, const Frame& after, bool too_big) {
  size_t header = parsed.v6 ? 40 : 20, quote = kEthernet + header + 8;
  if (after.size() < quote + header || (after.size() - quote) % 4 != 0 || after.size() > quote + header + 20) {
    return fmt::format("an answer of {} bytes", after.size());
  }
  if (after.size() - quote > before.size() - kEthernet ||
      !std::equal(after.begin() + static_cast<ptrdiff_t>(quote), after.end(), before.begin() + kEthernet)) {
    return "the answer does not quote the packet";
  }
  Frame expected = after;
  copy(expected, before, 12, 2);
  std::copy_n(before.begin() + 6, 6, expected.begin());
  std::copy_n(before.begin() + (hook == Hook::egress ? 6 : 0), 6, expected.begin() + 6);
  std::fill_n(expected.begin() + kEthernet, header + 8, uint8_t{0});
  size_t size = after.size() - kEthernet;
  if (parsed.v6) {
    expected[14] = 0x60;
    put16(expected, 18, static_cast<uint16_t>(size - header));
    expected[20] = kIcmp6;
    expected[21] = 64;
  } else {
    expected[14] = 0x45;
    put16(expected, 16, static_cast<uint16_t>(size));
    expected[22] = 64;
    expected[23] = kIcmp;
    copy(expected, after, 24, 2);
  }
  put_address(expected, parsed.v6 ? 22 : 26, parsed.flow.dst, parsed.v6);
  put_address(expected, parsed.v6 ? 38 : 30, parsed.flow.src, parsed.v6);
  size_t icmp = kEthernet + header;
  expected[icmp] = too_big ? (parsed.v6 ? 2 : 3) : (parsed.v6 ? 1 : 3);
  expected[icmp + 1] = too_big ? (parsed.v6 ? 0 : 4) : (parsed.v6 ? 4 : 3);
  copy(expected, after, icmp + 2, 2);
  if (too_big) {
    uint16_t mtu = get16(after, icmp + 6);
    if (mtu < 1280 || mtu > surroundings().mtu) {
      return fmt::format("the answer tells of an MTU of {}", mtu);
    }
    put16(expected, icmp + 6, mtu);
  }
  if (expected != after) {
    return "the answer should be, but for checksums, " + hex(expected);
  }
  auto answer = parse(after);
  if (!answer || transport_error(after, *answer) != 0 || (!parsed.v6 && header_error(after, kEthernet) != 0)) {
    return "the answer's checksum is wrong";
  }
  return {};
}

std::string check_wrapped(const Frame& before, const Parsed& parsed, const Frame& after, const Mapping& mapping) {
  bool v6 = parsed.v6;
  size_t header = v6 ? 40 : 20, option = v6 ? 20 : 8, room = header + 8 + 8 + 4 + option;
  if (after.size() != before.size() + room) {
    return fmt::format("{} bytes came out wrapped, {} went in", after.size(), before.size());
  }
  Frame inside(after.begin(), after.begin() + kEthernet);
  inside.insert(inside.end(), after.begin() + static_cast<ptrdiff_t>(kEthernet + room), after.end());
  if (auto wrong = compare(before, inside, parsed, {.mac_may_change = true, .ttl_less = 1}); !wrong.empty()) {
    return "inside: " + wrong;
  }
  if (!v6 && header_error(before, kEthernet) != header_error(inside, kEthernet)) {
    return "the checksum of the header inside is not as right as before";
  }
  auto outer = parse(after);
  size_t geneve = kEthernet + header + 8;
  if (!outer || outer->flow.src != surroundings().node[v6] || outer->flow.dst != mapping.node ||
      outer->flow.protocol != kUdp || outer->flow.dport != surroundings().tunnel_port) {
    return "the outer header is wrong";
  }
  const uint8_t head[] = {static_cast<uint8_t>(option / 4 + 1), 0, before[12], before[13], 0, 0, 0, 0, 0xff, 0x4b, 0x81,
                          static_cast<uint8_t>(option / 4)};
  if (!std::equal(std::begin(head), std::end(head), after.begin() + static_cast<ptrdiff_t>(geneve)) ||
      get_address(after, geneve + 12, v6) != mapping.to_dst ||
      get16(after, geneve + 12 + (v6 ? 16 : 4)) != mapping.to_dport) {
    return "the Geneve header is wrong";
  }
  // A frame may be longer than its packet, or shorter: then lengths are those of the packet, or of the frame.
  bool exact = parsed.length + kEthernet == before.size();
  if (!exact) {
    return {};
  }
  if (outer->length != after.size() - kEthernet || get16(after, outer->l4 + 4) != after.size() - outer->l4) {
    return "the outer lengths are wrong";
  }
  if (!v6) {
    return header_error(after, kEthernet) == 0 ? "" : "the outer header's checksum is wrong";
  }
  if (get16(after, outer->l4 + 6) == 0) {
    return {};
  }
  // Of SCTP, and UDP without a checksum, nobody can tell that it is right inside.
  bool other = parsed.flow.protocol == kSctp ||
               (parsed.flow.protocol == kUdp && parsed.part != Part::later && get16(before, parsed.l4 + 6) == 0);
  if (transport_error(after, *outer) != (other ? 0 : transport_error(before, parsed))) {
    return "the outer UDP checksum is not as right as the one inside";
  }
  return {};
}

}  // namespace keelson::fuzz
