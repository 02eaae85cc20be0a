// SPDX-License-Identifier: Apache-2.0
// The scenarios as data: they can be read, and the document about them is that of today.
#include "tests/services/table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/services/objects.h"

namespace keelson::services {
namespace {

const std::string kFolder = std::string(KEELSON_SOURCE_DIR) + "/tests/services";

TEST(Scenarios, TheDocumentIsOfToday) {
  auto wanted = document(load_suite(kFolder + "/scenarios"));
  auto path = kFolder + "/DIFFERENCES.md";
  if (getenv("KEELSON_WRITE_GOLDEN")) {
    std::ofstream(path) << wanted;
  }
  std::ostringstream is;
  is << std::ifstream(path).rdbuf();
  EXPECT_EQ(is.str(), wanted) << "run this test with KEELSON_WRITE_GOLDEN=1 and look at the difference";
}

TEST(Scenarios, ClusterAddressesAreUsedOnce) {
  std::set<std::string> seen;
  for (const auto& scenario : load_suite(kFolder + "/scenarios").scenarios) {
    for (const auto& object : scenario.objects) {
      const auto* spec = object.if_contains("spec");
      const auto* address = spec ? spec->as_object().if_contains("clusterIP") : nullptr;
      if (address && address->as_string() != "None") {
        EXPECT_TRUE(seen.insert(std::string(address->as_string())).second) << scenario.id() << " " << *address;
      }
    }
  }
}

TEST(Scenarios, TheSameInIpv6) {
  EXPECT_EQ(text_in_ipv6("pod1 tcp 10.96.1.2:80 x3"), "pod1 tcp [fd96::102]:80 x3");
  EXPECT_EQ(text_in_ipv6("10.1.0.0/24"), "fd01::/64");
  EXPECT_EQ(text_in_ipv6("10.2.0.1/32, 0.0.0.0/0"), "fd02::1/128, ::/0");
  EXPECT_EQ(text_in_ipv6("203.0.113.7:443 127.0.0.1:30080"), "[2001:db8::7]:443 [::1]:31080");
}

TEST(Scenarios, EndpointsInShort) {
  auto objects =
      expand(YAML::Load("slices: {web.b: {endpoints: [pod1, otherpod terminating for-zones=z1+z2]}}"), "ns", 4);
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0].at("metadata").at("labels").at("kubernetes.io/service-name"), "web");
  const auto& two = objects[0].at("endpoints").as_array();
  EXPECT_EQ(two[0].at("addresses").as_array()[0], "10.2.0.1");
  EXPECT_EQ(two[0].at("conditions").at("ready"), true);
  EXPECT_EQ(two[1].at("conditions").at("serving"), true);
  EXPECT_EQ(two[1].at("conditions").at("ready"), false);
  EXPECT_EQ(two[1].at("hints").at("forZones").as_array().size(), 2u);
}

}  // namespace
}  // namespace keelson::services
