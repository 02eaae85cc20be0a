// SPDX-License-Identifier: Apache-2.0
#include "dataplane/address.h"

#include <gtest/gtest.h>

namespace keelson::dataplane {
namespace {

TEST(AddressTest, TextToAddressAndBack) {
  for (const char* text : {"10.0.0.1", "0.0.0.0", "255.255.255.255", "fd00::1", "::", "2001:db8::ff00:42:8329"}) {
    auto address = Address::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
  for (const char* text : {"", "10.0.0", "10.0.0.256", "010.0.0.1", "fe80::1%eth0", "[::1]", "10.0.0.1 ", "web"}) {
    EXPECT_FALSE(Address::parse(text)) << text;
  }
}

TEST(AddressTest, MappedIsV4) {
  EXPECT_EQ(Address::parse("::ffff:10.0.0.1"), Address::v4(0x0a000001));
  EXPECT_EQ(Address::parse("10.0.0.1")->family(), Family::ipv4);
  EXPECT_EQ(Address::parse("::1")->family(), Family::ipv6);
}

TEST(AddressTest, Classes) {
  EXPECT_TRUE(Address::parse("127.9.9.9")->is_loopback());
  EXPECT_TRUE(Address::parse("::1")->is_loopback());
  EXPECT_FALSE(Address::parse("::2")->is_loopback());
  EXPECT_TRUE(Address::parse("0.0.0.0")->is_unspecified());
  EXPECT_TRUE(Address::parse("::")->is_unspecified());
  EXPECT_FALSE(Address::parse("0.0.0.1")->is_unspecified());
}

TEST(PrefixTest, ContainsByFamilyAndLength) {
  struct Case {
    const char* prefix;
    const char* address;
    bool contained;
  };
  for (auto c : std::initializer_list<Case>{{"10.0.0.0/8", "10.255.0.1", true},
                                            {"10.0.0.0/8", "11.0.0.1", false},
                                            {"10.1.2.3/8", "10.9.9.9", true},
                                            {"0.0.0.0/0", "8.8.8.8", true},
                                            {"0.0.0.0/0", "fd00::1", false},
                                            {"::/0", "fd00::1", true},
                                            {"::/0", "10.0.0.1", false},
                                            {"10.0.0.1", "10.0.0.1", true},
                                            {"10.0.0.1/31", "10.0.0.0", true},
                                            {"fd00::/9", "fd7f::1", true},
                                            {"fd00::/9", "fd80::1", false}}) {
    auto prefix = Prefix::parse(c.prefix);
    ASSERT_TRUE(prefix) << c.prefix;
    EXPECT_EQ(prefix->contains(*Address::parse(c.address)), c.contained) << c.prefix << " " << c.address;
  }
}

TEST(PrefixTest, RefusesWhatIsNone) {
  for (const char* text :
       {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "/8", "fd00::/129", "10.0.0.0/+8"}) {
    EXPECT_FALSE(Prefix::parse(text)) << text;
  }
  EXPECT_EQ(Prefix::parse("10.1.2.3/8")->to_string(), "10.0.0.0/8");
}

}  // namespace
}  // namespace keelson::dataplane
