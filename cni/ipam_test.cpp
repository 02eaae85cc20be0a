// SPDX-License-Identifier: Apache-2.0
#include "cni/ipam.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>
#include <set>

namespace keelson::cni {
namespace {

class IpamTest : public ::testing::Test {
 protected:
  IpamTest() {
    std::string pattern = ::testing::TempDir() + "keelson-ipam-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
  }
  ~IpamTest() override { std::filesystem::remove_all(dir_); }
  LeaseStore store(const std::string& boot = "boot-1") {
    return LeaseStore({.path = dir_ + "/net.leases", .boot_id = boot});
  }
  std::string dir_;
};

std::vector<Subnet> subnets(const std::vector<std::string>& texts) {
  std::vector<Subnet> out;
  for (const auto& text : texts) {
    out.push_back(*Subnet::parse(text));
  }
  return out;
}

TEST(Subnet, ParsesAndCounts) {
  auto four = *Subnet::parse("10.1.0.0/24");
  EXPECT_EQ(four.gateway(), "10.1.0.1");
  EXPECT_EQ(four.at(255), "10.1.0.255");
  EXPECT_EQ(four.size(), 256U);
  auto six = *Subnet::parse("fd00:1::/112");
  EXPECT_EQ(six.gateway(), "fd00:1::1");
  EXPECT_EQ(six.at(0x1234), "fd00:1::1234");
  for (const char* bad :
       {"", "10.1.0.0", "10.1.0.0/33", "10.1.0.0/31", "10.1.0.1/24", "x/24", "10.1.0.0/2x", "fd00::/0", "fd00::1/64"}) {
    EXPECT_FALSE(Subnet::parse(bad)) << bad;
  }
}

TEST_F(IpamTest, GivesEachFamilyOnceAndAgain) {
  auto ranges = subnets({"10.1.0.0/24", "fd00::/112"});
  auto first = store().allocate(ranges, "a", "eth0");
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_EQ(*first, (std::vector<std::string>{"10.1.0.2", "fd00::2"}));
  EXPECT_EQ(*store().allocate(ranges, "a", "eth0"), *first) << "the same attachment keeps its addresses";
  EXPECT_EQ(*store().allocate(ranges, "a", "eth1"), (std::vector<std::string>{"10.1.0.3", "fd00::3"}));
}

TEST_F(IpamTest, UnusedAddressesGoFirstThenTheLongestFreed) {
  auto range = subnets({"10.1.0.0/29"});  // .2 to .6
  ASSERT_TRUE(store().allocate(range, "x", "eth0"));
  ASSERT_TRUE(store().release("x", "eth0", 100));
  EXPECT_EQ(store().allocate(range, "a", "eth0")->front(), "10.1.0.3") << "the freed one rests while others are unused";
  for (const char* id : {"b", "c", "d"}) {
    ASSERT_TRUE(store().allocate(range, id, "eth0"));
  }
  ASSERT_TRUE(store().release("b", "eth0", 103));
  ASSERT_TRUE(store().release("a", "eth0", 104));
  EXPECT_EQ(store().allocate(range, "e", "eth0")->front(), "10.1.0.2") << "x's, freed first";
  EXPECT_EQ(store().allocate(range, "f", "eth0")->front(), "10.1.0.4") << "b's";
  ASSERT_TRUE(store().release("b", "eth0", 106)) << "a late DEL";
  EXPECT_EQ(store().find("f", "eth0")->size(), 1U) << "must not free the new owner's address";
  ASSERT_TRUE(store().allocate(range, "g", "eth0"));
  EXPECT_EQ(store().allocate(range, "h", "eth0").error().kind(), Kind::exhausted);
}

TEST_F(IpamTest, ARebootVoidsEverything) {
  auto range = subnets({"10.1.0.0/24"});
  ASSERT_TRUE(store("boot-1").allocate(range, "a", "eth0"));
  EXPECT_EQ(store("boot-2").list()->size(), 0U);
  EXPECT_EQ(store("boot-2").allocate(range, "b", "eth0")->front(), "10.1.0.2");
}

TEST_F(IpamTest, GarbageIsWhatNobodyNames) {
  auto range = subnets({"10.1.0.0/24"});
  for (const char* id : {"a", "b", "c"}) {
    ASSERT_TRUE(store().allocate(range, id, "eth0"));
  }
  ASSERT_TRUE(store().keep_only({{"b", "eth0"}}, 5));
  auto left = store().list();
  ASSERT_EQ(left->size(), 1U);
  EXPECT_EQ(left->front().container_id, "b");
}

// Against an obviously right model: who holds what, and what rests until when.
TEST_F(IpamTest, AgreesWithTheModelOverManySeededSteps) {
  auto range = subnets({"10.1.0.0/26"});
  std::mt19937 random(20261);
  std::map<std::string, std::string> held;
  std::map<std::string, int64_t> freed;
  int64_t now = 1000;
  for (int step = 0; step < 4000; ++step) {
    now += random() % 4;
    std::string id = "c" + std::to_string(random() % 80);
    if (random() % 2 == 0) {
      auto got = store().allocate(range, id, "eth0");
      if (held.contains(id)) {
        ASSERT_EQ(got->front(), held[id]);
        continue;
      }
      if (!got) {
        ASSERT_EQ(held.size(), 61U) << "step " << step << ": refused though an address was free";
        continue;
      }
      for (const auto& [other, address] : held) {
        ASSERT_NE(address, got->front()) << "step " << step << ": given twice";
      }
      if (auto rest = freed.find(got->front()); rest != freed.end()) {
        for (const auto& [address, when] : freed) {
          ASSERT_GE(when, rest->second) << "step " << step << ": one freed earlier was passed over";
        }
        freed.erase(rest);
      }
      held[id] = got->front();
    } else {
      ASSERT_TRUE(store().release(id, "eth0", now));
      if (auto found = held.find(id); found != held.end()) {
        freed[found->second] = now;
        held.erase(found);
      }
    }
  }
  EXPECT_EQ(store().list()->size(), held.size());
}

}  // namespace
}  // namespace keelson::cni
