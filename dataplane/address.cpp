// SPDX-License-Identifier: Apache-2.0
#include "dataplane/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace keelson::dataplane {
namespace {

constexpr std::array<uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr int kMappedBits = 96;

void clear_after(Address& address, int bits) {
  for (int i = 0; i < 16; i++) {
    int kept = std::clamp(bits - i * 8, 0, 8);
    address.bytes[i] &= static_cast<uint8_t>(0xff00 >> kept);
  }
}

}  // namespace

Address Address::v4(uint32_t host_order) {
  Address address;
  std::ranges::copy(kMappedPrefix, address.bytes.begin());
  uint32_t network = htonl(host_order);
  std::memcpy(&address.bytes[12], &network, 4);
  return address;
}

std::optional<Address> Address::parse(std::string_view text) {
  std::string terminated(text);
  in_addr v4_bytes;
  if (inet_pton(AF_INET, terminated.c_str(), &v4_bytes) == 1) {
    return v4(ntohl(v4_bytes.s_addr));
  }
  Address address;
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) {
    return address;
  }
  return std::nullopt;
}

Family Address::family() const {
  return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin()) ? Family::ipv4 : Family::ipv6;
}

bool Address::is_unspecified() const {
  return *this == Address{} || *this == v4(0);
}

bool Address::is_loopback() const {
  if (is_v4()) {
    return bytes[12] == 127;
  }
  return std::all_of(bytes.begin(), bytes.end() - 1, [](uint8_t b) { return b == 0; }) && bytes[15] == 1;
}

uint32_t Address::v4_network_order() const {
  uint32_t word;
  std::memcpy(&word, &bytes[12], 4);
  return word;
}

std::string Address::to_string() const {
  char text[INET6_ADDRSTRLEN];
  bool v4 = is_v4();
  inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? &bytes[12] : bytes.data(), text, sizeof text);
  return text;
}

std::optional<Prefix> Prefix::parse(std::string_view text) {
  auto slash = text.find('/');
  auto address = Address::parse(text.substr(0, slash));
  if (!address) {
    return std::nullopt;
  }
  int most = address->is_v4() ? 32 : 128;
  int length = most;
  if (slash != text.npos) {
    auto digits = text.substr(slash + 1);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
      return std::nullopt;
    }
    if (length < 0 || length > most || digits[0] == '-') {
      return std::nullopt;
    }
  }
  clear_after(*address, length + 128 - most);
  return Prefix{*address, static_cast<uint8_t>(length)};
}

bool Prefix::contains(const Address& candidate) const {
  if (candidate.family() != address.family()) {
    return false;
  }
  Address masked = candidate;
  clear_after(masked, length + (address.is_v4() ? kMappedBits : 0));
  // A v4 range shorter than the mapping's own bits cannot be: those are always kept.
  return masked == address;
}

std::string Prefix::to_string() const {
  return address.to_string() + "/" + std::to_string(length);
}

}  // namespace keelson::dataplane
