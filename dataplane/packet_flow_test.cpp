// SPDX-License-Identifier: Apache-2.0
// How evenly flows are shared by their hash: clients take ports in turn, and few bits of a flow differ from the next.
#include <gtest/gtest.h>

#include <vector>

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

}  // namespace
}  // namespace keelson::dataplane
