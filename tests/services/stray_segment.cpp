// SPDX-License-Identifier: Apache-2.0
#include "tests/services/stray_segment.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include <cstring>
#include <vector>

#include "common/netns.h"

namespace keelson::services {
namespace {

uint16_t checksum(const std::vector<uint8_t>& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    sum += bytes[i] << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0);
  }
  while (sum >> 16) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(~sum);
}

void append(std::vector<uint8_t>& bytes, const void* data, size_t size) {
  const auto* from = static_cast<const uint8_t*>(data);
  bytes.insert(bytes.end(), from, from + size);
}

void append_address(std::vector<uint8_t>& bytes, const ebpf::testing::Sockaddr& address) {
  if (address.storage.ss_family == AF_INET) {
    append(bytes, &reinterpret_cast<const sockaddr_in&>(address.storage).sin_addr, 4);
  } else {
    append(bytes, &reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_addr, 16);
  }
}

}  // namespace

void send_stray_segment(const std::string& netns, const ebpf::testing::Sockaddr& to, uint16_t port) {
  auto guard = NetnsGuard::enter(netns);
  ASSERT_TRUE(guard) << guard.error().message();
  auto at = to;
  bool v4 = at.storage.ss_family == AF_INET;
  (v4 ? reinterpret_cast<sockaddr_in&>(at.storage).sin_port : reinterpret_cast<sockaddr_in6&>(at.storage).sin6_port) =
      0;
  Fd raw(socket(at.storage.ss_family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP));
  ASSERT_EQ(connect(raw.get(), at.get(), at.size), 0) << strerror(errno);
  ebpf::testing::Sockaddr from;
  getsockname(raw.get(), from.get(), &from.size);

  tcphdr header{};
  header.source = htons(port);
  header.dest = htons(to.port());
  header.seq = htonl(0x7badbad0);
  header.ack_seq = htonl(0x7badbad0);
  header.doff = sizeof header / 4;
  header.ack = 1;
  header.window = htons(1024);
  std::vector<uint8_t> segment;
  append(segment, &header, sizeof header);
  append(segment, "stray", 6);
  std::vector<uint8_t> pseudo;
  append_address(pseudo, from);
  append_address(pseudo, to);
  const uint8_t rest[] = {0, IPPROTO_TCP, 0, static_cast<uint8_t>(segment.size())};
  append(pseudo, rest, sizeof rest);
  append(pseudo, segment.data(), segment.size());
  uint16_t sum = htons(checksum(pseudo));
  std::memcpy(segment.data() + offsetof(tcphdr, check), &sum, sizeof sum);
  ASSERT_EQ(send(raw.get(), segment.data(), segment.size(), 0), static_cast<ssize_t>(segment.size()))
      << strerror(errno);
}

}  // namespace keelson::services
