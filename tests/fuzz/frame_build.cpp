// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/frame.h"

namespace keelson::fuzz {
namespace {

size_t checksum_at(uint8_t protocol) {
  return protocol == kTcp ? 16 : protocol == kUdp ? 6 : 2;
}

void append_header4(Frame& frame, const Plan& plan) {
  size_t at = frame.size();
  frame.resize(at + 20 + plan.option_words * 4, 1);  // options: no operation
  std::fill_n(frame.begin() + static_cast<ptrdiff_t>(at), 20, uint8_t{0});
  frame[at] = static_cast<uint8_t>(0x45 + plan.option_words);
  put16(frame, at + 4, plan.fragment_id);
  put16(frame, at + 6, plan.part == Part::whole ? 0 : plan.part == Part::first ? 0x2000 : 0x00b9);
  frame[at + 8] = plan.ttl;
  frame[at + 9] = plan.flow.protocol;
  put_address(frame, at + 12, plan.flow.src, false);
  put_address(frame, at + 16, plan.flow.dst, false);
}

void append_header6(Frame& frame, const Plan& plan) {
  size_t at = frame.size();
  auto chain = plan.extensions;
  if (plan.part != Part::whole) {
    chain.push_back(44);
  }
  frame.resize(at + 40 + chain.size() * 8);
  frame[at] = 0x60;
  frame[at + 6] = chain.empty() ? plan.flow.protocol : chain.front();
  frame[at + 7] = plan.ttl;
  put_address(frame, at + 8, plan.flow.src, true);
  put_address(frame, at + 24, plan.flow.dst, true);
  for (size_t i = 0; i < chain.size(); i++) {
    size_t header = at + 40 + i * 8;
    frame[header] = i + 1 < chain.size() ? chain[i + 1] : plan.flow.protocol;
    if (chain[i] == 44) {
      put16(frame, header + 2, plan.part == Part::first ? 1 : plan.part == Part::later ? 0x05c8 : 0);
      put16(frame, header + 6, plan.fragment_id);
    }
  }
}

void append_transport(Frame& frame, const Plan& plan) {
  size_t at = frame.size(), total = 0;
  switch (plan.flow.protocol) {
    case kTcp:
      total = 20;
      break;
    case kSctp:
      total = 12;
      break;
    case kUdp:
      total = 8;
      break;
    case kIcmp:
    case kIcmp6:
      total = 4;
      break;
    default:
      break;
  }
  if (plan.part != Part::later) {
    frame.resize(at + total);
    if (total == 4) {
      frame[at] = plan.icmp_type;
      frame[at + 1] = plan.icmp_code;
    } else if (total != 0) {
      put16(frame, at, plan.flow.sport);
      put16(frame, at + 2, plan.flow.dport);
    }
    if (plan.flow.protocol == kTcp) {
      frame[at + 12] = 0x50;
      frame[at + 13] = plan.tcp_flags;
    } else if (plan.flow.protocol == kUdp) {
      put16(frame, at + 4, static_cast<uint16_t>(8 + plan.payload.size()));
    }
  }
  frame.insert(frame.end(), plan.payload.begin(), plan.payload.end());
}

}  // namespace

Frame build(const Plan& plan) {
  Frame frame = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0, 0};
  bool v6 = !plan.flow.src.is_v4();
  put16(frame, 12, v6 ? 0x86dd : 0x0800);
  v6 ? append_header6(frame, plan) : append_header4(frame, plan);
  append_transport(frame, plan);
  put16(frame, v6 ? 18 : 16, static_cast<uint16_t>(frame.size() - (v6 ? 54 : 14)));
  fix_checksums(frame);
  if (plan.no_udp_checksum && plan.flow.protocol == kUdp && plan.part != Part::later) {
    if (auto parsed = parse(frame)) {
      put16(frame, parsed->l4 + 6, 0);
    }
  }
  return frame;
}

void fix_checksums(Frame& frame) {
  auto parsed = parse(frame);
  if (!parsed) {
    return;
  }
  if (!parsed->v6) {
    put16(frame, 24, 0);
    put16(frame, 24, static_cast<uint16_t>(~sum(&frame[14], parsed->l3_size())));
  }
  if (parsed->part == Part::later || parsed->flow.protocol == kSctp) {
    return;
  }
  size_t at = parsed->l4 + checksum_at(parsed->flow.protocol);
  put16(frame, at, 0);
  auto value = static_cast<uint16_t>(0xffff - transport_error(frame, *parsed));
  put16(frame, at, value);
}

}  // namespace keelson::fuzz
