// SPDX-License-Identifier: Apache-2.0
// How evenly flows are shared by their hash: clients take ports in turn, and few bits of a flow differ from the next.
// And which flows no router takes.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "dataplane/address.h"
#include "dataplane/packet/flow.h"

namespace keelson::dataplane {
namespace {

// 99.9 % of fair draws are below, for 1 .. 4 degrees of freedom.
constexpr double kFair[] = {10.83, 13.82, 16.27, 18.47};
constexpr int kFlows = 10'000;

double chi_square(uint32_t seed, uint32_t many, bool v6, int step, bool by_address) {
  std::vector<int> counts(many);
  kl_flow flow{};
  flow.src = v6 ? kl_addr{{0xfd01, 0, 0, 0x03000000}} : kl_mapped(0x0300010a);
  flow.dst = v6 ? kl_addr{{0x96fd, 0, 0, 0x01000000}} : kl_mapped(0x0100600a);
  flow.dport = __builtin_bswap16(80);
  flow.protocol = 6;
  for (int i = 0; i < kFlows; i++) {
    auto varied = static_cast<uint32_t>(i * step);
    flow.sport = __builtin_bswap16(static_cast<uint16_t>(by_address ? 5353 : 32768 + varied % 28000));
    flow.src.word[3] = __builtin_bswap32(0x0a010000 + (by_address ? varied : varied / 28000));
    counts[kl_hash_choice(v6 ? kl_flow_hash(&flow, seed, 1).first : kl_flow_hash(&flow, seed, 0).first, many)]++;
  }
  double expected = static_cast<double>(kFlows) / many, sum = 0;
  for (int count : counts) {
    sum += (count - expected) * (count - expected) / expected;
  }
  return sum;
}

TEST(PacketFlowTest, NeighbouringFlowsAreSharedEvenly) {
  // Of 480 fair draws 0.5 are above; more than 5 would be one chance in 10,000.
  int above = 0;
  for (uint32_t seed = 1; seed <= 15; seed++) {
    for (uint32_t many = 2; many <= 5; many++) {
      for (bool v6 : {false, true}) {
        for (int step : {1, 2}) {  // Linux connects from every second port.
          for (bool by_address : {false, true}) {
            above += chi_square(seed * 0x9e3779b9, many, v6, step, by_address) > kFair[many - 2];
          }
        }
      }
    }
  }
  EXPECT_LE(above, 5);
}

TEST(PacketFlowTest, EveryChoiceIsReachedAndNoneBeyond) {
  EXPECT_EQ(kl_hash_choice(0, 3), 0u);
  EXPECT_EQ(kl_hash_choice(0xffffffff, 3), 2u);
  EXPECT_EQ(kl_hash_choice(0xffffffff, 1), 0u);
}

TEST(PacketFlowTest, MartiansAreKnownByEitherEnd) {
  auto martian = [](const char* src, const char* dst) {
    auto from = *Address::parse(src), to = *Address::parse(dst);
    kl_addr a, b;
    std::memcpy(&a, from.bytes.data(), sizeof a);
    std::memcpy(&b, to.bytes.data(), sizeof b);
    return kl_is_martian(&a, &b, std::strchr(src, ':') ? 1 : 0) != 0;
  };
  EXPECT_FALSE(martian("10.1.0.3", "10.96.0.1"));
  EXPECT_FALSE(martian("250.1.0.3", "10.96.0.1"));
  for (const char* src : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "239.255.255.255", "255.255.255.255"}) {
    EXPECT_TRUE(martian(src, "10.96.0.1")) << src;
  }
  EXPECT_TRUE(martian("10.1.0.3", "127.0.0.1"));
  EXPECT_FALSE(martian("fd01::3", "fd96::1"));
  EXPECT_FALSE(martian("::2", "fd96::1"));
  for (const char* src : {"::", "::1", "ff02::1", "::ffff:10.1.0.3"}) {
    EXPECT_TRUE(martian(src, "fd96::1")) << src;
  }
  for (const char* dst : {"::1", "::ffff:10.96.0.1"}) {
    EXPECT_TRUE(martian("fd01::3", dst)) << dst;
  }
}

}  // namespace
}  // namespace keelson::dataplane
