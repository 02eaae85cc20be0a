// SPDX-License-Identifier: Apache-2.0
#include "dataplane/model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "dataplane/claims.h"

namespace keelson::dataplane {
namespace {

Model random_model(std::mt19937& random) {
  Model model;
  for (auto count = random() % 20; count-- > 0;) {
    Service service;
    service.affinity_seconds = random() % 3;
    for (auto backends = random() % 3; backends-- > 0;) {
      service.backends.push_back({Address::v4(random() % 5), 80});
    }
    ServiceKey key{"ns/s" + std::to_string(random() % 30), random() % 2 ? Family::ipv4 : Family::ipv6};
    model.services.insert_or_assign(key, service);
  }
  return model;
}

TEST(ModelTest, ApplyingTheDeltaGivesTheOtherModel) {
  std::mt19937 random(1);
  Model now;
  for (int i = 0; i < 2000; i++) {
    auto wanted = random_model(random);
    auto change = delta(now, wanted);
    apply(now, change);
    ASSERT_EQ(now, wanted) << "round " << i;
    ASSERT_TRUE(delta(now, wanted).empty());
  }
}

TEST(ModelTest, TheDeltaHoldsWhatChangedAlone) {
  Model before, after;
  before.services[{"a", Family::ipv4}] = {};
  before.services[{"b", Family::ipv4}] = {};
  before.services[{"c", Family::ipv4}] = {};
  after = before;
  after.services.erase({"a", Family::ipv4});
  after.services[{"b", Family::ipv4}].affinity_seconds = 5;
  auto change = delta(before, after);
  EXPECT_EQ(change.removed, (std::vector<ServiceKey>{{"a", Family::ipv4}}));
  ASSERT_EQ(change.changed.size(), 1u);
  EXPECT_EQ(change.changed.begin()->first.name, "b");
}

TEST(ClaimsTest, TheOwnerDoesNotDependOnTheOrder) {
  FrontendKey key{Address::v4(1), 80, Protocol::tcp};
  std::vector<ServiceKey> all{{"ns/a"}, {"ns/b"}, {"ns/c"}};
  do {
    Claims claims;
    for (const auto& service : all) {
      EXPECT_TRUE(claims.add(key, service));
    }
    EXPECT_EQ(claims.owner(key)->name, "ns/a");
    EXPECT_TRUE(claims.remove(key, {"ns/a"}));
    EXPECT_FALSE(claims.remove(key, {"ns/a"}));
    EXPECT_EQ(claims.owner(key)->name, "ns/b");
    EXPECT_TRUE(claims.remove(key, {"ns/b"}));
    EXPECT_EQ(claims.owner(key)->name, "ns/c");
    EXPECT_TRUE(claims.remove(key, {"ns/c"}));
    EXPECT_EQ(claims.owner(key), nullptr);
    EXPECT_EQ(claims.size(), 0u);
  } while (std::ranges::next_permutation(all).found);
}

}  // namespace
}  // namespace keelson::dataplane
