// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/packet_generator.h"

#include <algorithm>

namespace keelson::fuzz {

Frame Generator::bytes(size_t size) {
  Frame result(size);
  for (auto& byte : result) {
    byte = static_cast<uint8_t>(random_());
  }
  return result;
}

// Few clients with few ports: flows meet again.
Plan Generator::to_service(const Reference& reference) {
  const auto& places = reference.places();
  const auto& [address, port] = places[below(static_cast<uint32_t>(places.size()))];
  const auto& clients = surroundings().clients[!address.is_v4()];
  Plan plan;
  plan.flow = {clients[below(static_cast<uint32_t>(clients.size()))], address, static_cast<uint16_t>(40000 + below(24)),
               port.first, port.second};
  if (one_in(16)) {
    plan.flow.sport = static_cast<uint16_t>(random_());
  }
  plan.payload = bytes(below(60));
  return plan;
}

Plan Generator::of_known(const Reference& reference) {
  const auto& flows = reference.known_list();
  if (flows.empty()) {
    return to_service(reference);
  }
  Plan plan;
  plan.flow = flows[below(static_cast<uint32_t>(flows.size()))];
  plan.payload = bytes(below(60));
  return plan;
}

Plan Generator::of_nobody() {
  bool v6 = one_in(2);
  const auto& clients = surroundings().clients[v6];
  static constexpr uint8_t kProtocols[] = {kTcp, kUdp, kSctp, kIcmp, kIcmp6, 47, 50, 59, 255, 4, 41};
  auto any = [&] { return clients[below(static_cast<uint32_t>(clients.size()))]; };
  Plan plan;
  plan.flow = {any(), any(), static_cast<uint16_t>(random_()), static_cast<uint16_t>(random_()),
               kProtocols[below(std::size(kProtocols))]};
  plan.icmp_type = static_cast<uint8_t>(one_in(2) ? below(16) : 128 + below(10));
  plan.payload = bytes(4 + below(60));
  return plan;
}

// About a flow of services, mostly; with all of the packet or less of it, and sometimes an error about an error.
Plan Generator::icmp_error(const Reference& reference) {
  Plan about = one_in(8) ? of_nobody() : one_in(4) ? to_service(reference) : of_known(reference);
  // What the receiver of translated packets quotes is the other direction of a row.
  if (one_in(2)) {
    about.flow = about.flow.reversed();
  }
  if (one_in(10)) {
    decorate(about);
  }
  bool v6 = !about.flow.src.is_v4();
  Frame quoted = one_in(30) ? build(icmp_error(reference)) : build(about);
  quoted.erase(quoted.begin(), quoted.begin() + kEthernet);
  if (one_in(2)) {
    quoted.resize(std::min<size_t>(quoted.size(), below(80)));
  } else if (!v6) {
    quoted.resize(std::min<size_t>(quoted.size(), 28));
  }
  const auto& clients = surroundings().clients[v6];
  Plan plan;
  plan.flow = {one_in(2) ? about.flow.dst : clients[below(static_cast<uint32_t>(clients.size()))], about.flow.src, 0, 0,
               v6 ? kIcmp6 : kIcmp};
  if (one_in(20)) {
    plan.flow.dst = clients[below(static_cast<uint32_t>(clients.size()))];
  }
  static constexpr uint8_t kTypes4[] = {3, 3, 3, 11, 12, 4}, kTypes6[] = {1, 2, 3, 4, 1, 2};
  plan.icmp_type = v6 ? kTypes6[below(6)] : kTypes4[below(6)];
  plan.icmp_code = static_cast<uint8_t>(below(6));
  plan.payload = bytes(4);
  plan.payload.insert(plan.payload.end(), quoted.begin(), quoted.end());
  return plan;
}

// From another node, for one of a few endpoints; or nearly.
Plan Generator::geneve(const Reference& reference) {
  Plan inside = one_in(10) ? icmp_error(reference) : one_in(10) ? of_nobody() : to_service(reference);
  if (one_in(6)) {
    decorate(inside);
  }
  bool v6 = !inside.flow.src.is_v4();
  Frame frame = build(inside);
  static constexpr uint8_t kV4[] = {3, 0, 8, 0, 0, 0, 0, 0, 0xff, 0x4b, 0x81, 2};
  static constexpr uint8_t kV6[] = {6, 0, 0x86, 0xdd, 0, 0, 0, 0, 0xff, 0x4b, 0x81, 5};
  Plan plan;
  plan.flow = {one_in(10) ? surroundings().clients[v6][0] : surroundings().other_node[v6], surroundings().node[v6],
               static_cast<uint16_t>(49152 + below(16384)), surroundings().tunnel_port, kUdp};
  plan.payload.assign(v6 ? kV6 : kV4, (v6 ? kV6 : kV4) + 12);
  const Address endpoint =
      *Address::parse(v6 ? (one_in(2) ? "fd02::1" : "fd02::2") : (one_in(2) ? "10.2.0.1" : "10.2.0.2"));
  plan.payload.insert(plan.payload.end(), endpoint.bytes.begin() + (v6 ? 0 : 12), endpoint.bytes.end());
  plan.payload.insert(plan.payload.end(), {0x1f, 0x90, 0, 0});
  plan.payload.insert(plan.payload.end(), frame.begin() + kEthernet, frame.end());
  if (one_in(4)) {
    plan.payload[below(static_cast<uint32_t>(std::min<size_t>(plan.payload.size(), 40)))] =
        static_cast<uint8_t>(random_());
  }
  if (one_in(8)) {
    plan.payload.resize(below(static_cast<uint32_t>(plan.payload.size())));
  }
  plan.no_udp_checksum = one_in(2);
  return plan;
}

// All that a right packet may have.
void Generator::decorate(Plan& plan) {
  static constexpr uint8_t kExtensions[] = {0, 43, 60, 60, 44, 51};
  if (one_in(4)) {
    plan.ttl = static_cast<uint8_t>(below(4));
  }
  plan.tcp_flags = static_cast<uint8_t>(one_in(2) ? 0x10 : random_());
  if (one_in(5)) {
    plan.option_words = below(11);
    for (auto many = below(9); many > 0; many--) {
      plan.extensions.push_back(kExtensions[below(std::size(kExtensions))]);
    }
  }
  if (one_in(8)) {
    plan.part = one_in(2) ? Part::first : Part::later;
    plan.fragment_id = static_cast<uint16_t>(below(4));
  }
  plan.no_udp_checksum = one_in(8);
  if (one_in(40)) {
    auto more = bytes(1300 + below(400));
    plan.payload.insert(plan.payload.end(), more.begin(), more.end());
  }
}

// What no right sender sends. Checksums stay as they are, or are made right again.
void Generator::mutate(Frame& frame) {
  if (frame.size() < kEthernet + 8) {
    return;
  }
  auto place = [&](size_t from) { return from + below(static_cast<uint32_t>(frame.size() - from)); };
  switch (below(8)) {
    case 0:
      frame.resize(kEthernet + below(static_cast<uint32_t>(frame.size() - kEthernet + 1)));
      break;
    case 1:
      frame.resize(frame.size() + below(40), static_cast<uint8_t>(random_()));
      break;
    case 2:
      frame[place(0)] = static_cast<uint8_t>(random_());
      break;
    case 3:
      frame[kEthernet + below(8)] = static_cast<uint8_t>(random_());
      break;
    case 4:
      frame[place(std::min<size_t>(kEthernet + 20, frame.size() - 1))] ^= static_cast<uint8_t>(1 << below(8));
      break;
    case 5:
      if (frame.size() >= kEthernet + 40) {
        put16(frame, kEthernet + (one_in(2) ? 2 : 4), static_cast<uint16_t>(random_()));
      }
      break;
    case 6:
      frame[std::min<size_t>(kEthernet + below(60), frame.size() - 1)] = static_cast<uint8_t>(random_());
      break;
    case 7:
      if (auto parsed = parse(frame); parsed && parsed->l4 + 20 <= frame.size()) {
        frame[parsed->l4 + below(20)] = static_cast<uint8_t>(random_());
      }
      break;
    default:
      break;
  }
  if (one_in(3)) {
    fix_checksums(frame);
  }
}

Frame Generator::next(Hook hook, const Reference& reference) {
  Plan plan;
  auto kind = below(100);
  if (kind < 50) {
    plan = to_service(reference);
  } else if (kind < 70) {
    plan = of_known(reference);
  } else if (kind < 83) {
    plan = icmp_error(reference);
  } else if (kind < 93 && hook != Hook::xdp) {
    plan = hook == Hook::uplink || one_in(10) ? geneve(reference) : to_service(reference);
  } else {
    plan = of_nobody();
  }
  if (one_in(2)) {
    decorate(plan);
  }
  Frame frame = build(plan);
  if (one_in(2)) {
    for (auto many = 1 + below(3); many > 0; many--) {
      mutate(frame);
    }
  }
  return frame;
}

}  // namespace keelson::fuzz
