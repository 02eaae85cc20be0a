// SPDX-License-Identifier: Apache-2.0
// The maps against what they should say, read back as the programs read them.
#include "ebpf/tables.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "common/fd.h"
#include "ebpf/testing.h"

namespace keelson::ebpf {
namespace {

using dataplane::Address;
using dataplane::Family;
using dataplane::FrontendKey;
using dataplane::Model;
using dataplane::Service;
using dataplane::ServiceKey;
using dataplane::Verdict;

// Maps of the test's own, of the shape of bpf/maps.h.
struct Maps {
  Fd frontends, services, slots, backends, ranges;
  TableMaps tables;

  Maps(uint32_t service_rows, uint32_t slot_rows, uint32_t backend_rows) {
    LIBBPF_OPTS(bpf_map_create_opts, sparse, .map_flags = BPF_F_NO_PREALLOC);
    LIBBPF_OPTS(bpf_map_create_opts, mapped, .map_flags = BPF_F_MMAPABLE);
    frontends.reset(bpf_map_create(BPF_MAP_TYPE_HASH, "t_frontends", sizeof(kl_frontend_key), sizeof(kl_frontend),
                                   100'000, &sparse));
    services.reset(bpf_map_create(BPF_MAP_TYPE_ARRAY, "t_services", 4, sizeof(kl_service), service_rows, &mapped));
    slots.reset(bpf_map_create(BPF_MAP_TYPE_ARRAY, "t_slots", 4, 4, slot_rows, &mapped));
    backends.reset(bpf_map_create(BPF_MAP_TYPE_ARRAY, "t_backends", 4, sizeof(kl_backend), backend_rows, &mapped));
    ranges.reset(bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "t_ranges", sizeof(kl_range_key), 4, 10'000, &sparse));
    tables = {frontends.get(), services.get(), slots.get(), backends.get(), ranges.get(),
              100000,          service_rows,   slot_rows,   backend_rows};
  }
};

template <class Row>
Row row_of(const Fd& map, uint32_t index) {
  Row row{};
  EXPECT_EQ(bpf_map_lookup_elem(map.get(), &index, &row), 0) << index;
  return row;
}

using Places = std::set<std::pair<Address, uint16_t>>;

// "reject", "drop" or where a new flow may go: what the programs would do.
std::pair<std::string, Places> answer(const Maps& maps, const FrontendKey& place, int from) {
  kl_frontend_key key{to_kl(place.address), htons(place.port), static_cast<uint8_t>(place.protocol), 0};
  kl_frontend frontend;
  if (bpf_map_lookup_elem(maps.frontends.get(), &key, &frontend) != 0) {
    return {"none", {}};
  }
  auto verdict = frontend.use[from] & KL_USE_VERDICT;
  std::string text = frontend.use[from] & KL_USE_MASQUERADE ? "masqueraded " : "";
  text += frontend.ranges ? "ranges " : "";
  if (verdict == KL_REJECT || verdict == KL_DROP) {
    return {text + (verdict == KL_REJECT ? "reject" : "drop"), {}};
  }
  auto pool = row_of<kl_service>(maps.services, frontend.service).pool[verdict == KL_LOCAL];
  Places places;
  for (uint32_t i = 0; i < KL_POOL_COUNT(pool); i++) {
    auto name = row_of<uint32_t>(maps.slots, KL_POOL_BASE(pool) + i);
    auto backend = row_of<kl_backend>(maps.backends, KL_BACKEND_ROW(name));
    EXPECT_EQ(backend.name, name);
    EXPECT_TRUE(backend.flags & KL_BACKEND_SERVING);
    places.insert({from_kl(backend.address), ntohs(backend.port)});
  }
  return {text + "forward", places};
}

// The same from the model: of two services that claim a frontend the first by name has it.
std::map<FrontendKey, std::array<std::pair<std::string, Places>, 3>> wanted_answers(const Model& model) {
  std::map<FrontendKey, std::array<std::pair<std::string, Places>, 3>> answers;
  for (const auto& [key, service] : model.services) {
    for (const auto& frontend : service.frontends) {
      std::array<std::pair<std::string, Places>, 3> all;
      for (size_t from = 0; from < 3; from++) {
        auto use = frontend.uses[from];
        auto& [text, places] = all[from];
        text = use.masquerade ? "masqueraded " : "";
        text += frontend.source_ranges.empty() ? "" : "ranges ";
        bool forward = use.verdict == Verdict::cluster || use.verdict == Verdict::local;
        text += forward ? "forward" : use.verdict == Verdict::reject ? "reject" : "drop";
        for (auto place : use.verdict == Verdict::local ? service.local : service.cluster) {
          if (forward) {
            places.insert({service.backends[place].address, service.backends[place].port});
          }
        }
      }
      answers.try_emplace({frontend.address, frontend.port, service.protocol}, all);
    }
  }
  return answers;
}

Service random_service(std::mt19937& random) {
  Service service;
  service.protocol = random() % 2 ? dataplane::Protocol::tcp : dataplane::Protocol::udp;
  service.algorithm = random() % 8 == 0 ? dataplane::Algorithm::maglev : dataplane::Algorithm::random;
  std::set<uint32_t> hosts;
  for (auto count = random() % 5; count-- > 0;) {
    hosts.insert(random() % 12);
  }
  for (auto host : hosts) {
    service.backends.push_back({Address::v4(0x0a010000 + host), 8080, random() % 2 == 0, random() % 4 != 0});
    auto place = static_cast<uint32_t>(service.backends.size() - 1);
    if (service.backends.back().serving && random() % 4) {
      service.cluster.push_back(place);
      if (service.backends.back().local) {
        service.local.push_back(place);
      }
    }
  }
  std::set<uint32_t> places;
  for (auto count = random() % 4; count-- > 0;) {
    places.insert(random() % 60);
  }
  for (auto place : places) {
    dataplane::Frontend frontend{.address = Address::v4(0x0a600000 + place), .port = 80};
    for (auto& use : frontend.uses) {
      auto kind = random() % 4;
      use = {kind == 0   ? Verdict::drop
             : kind == 1 ? Verdict::reject
             : kind == 2 ? Verdict::local
                         : Verdict::cluster,
             random() % 2 == 0};
    }
    if (random() % 4 == 0) {
      frontend.source_ranges = {*dataplane::Prefix::parse("10.0.0.0/8")};
    }
    service.frontends.push_back(frontend);
  }
  return service;
}

void expect_answers(const Maps& maps, const Model& model) {
  auto wanted = wanted_answers(model);
  for (uint32_t place = 0; place < 60; place++) {
    for (auto protocol : {dataplane::Protocol::tcp, dataplane::Protocol::udp}) {
      FrontendKey key{Address::v4(0x0a600000 + place), 80, protocol};
      for (int from = 0; from < 3; from++) {
        auto known = wanted.find(key);
        auto expected = known == wanted.end() ? std::pair<std::string, Places>{"none", {}} : known->second[from];
        ASSERT_EQ(answer(maps, key, from), expected) << key.address.to_string() << " from " << from;
      }
    }
  }
}

class TablesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = testing::why_not(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
  }
};

// Deltas, and now and then another process that takes over: the maps always say what the model says.
TEST_F(TablesTest, RandomChangesAndTakeovers) {
  std::mt19937 random(11);
  Maps maps(200, 40'000, 1000);
  auto tables = Tables::open(maps.tables);
  ASSERT_TRUE(tables) << tables.error().message();
  Model model;
  auto now = TimePoint(std::chrono::hours(1));
  for (int round = 0; round < 1500; round++) {
    Model next = model;
    for (auto changes = random() % 8; changes-- > 0;) {
      ServiceKey key{"n/s" + std::to_string(random() % 40)};
      if (random() % 3 == 0) {
        next.services.erase(key);
      } else {
        next.services[key] = random_service(random);
      }
    }
    now += std::chrono::milliseconds(300);
    std::vector<Error> errors;
    if (random() % 10 == 0) {
      tables = Tables::open(maps.tables);
      errors = tables->adopt(next, now);
    } else {
      errors = tables->apply(dataplane::delta(model, next), now);
    }
    ASSERT_TRUE(errors.empty()) << errors[0].message();
    model = next;
    ASSERT_NO_FATAL_FAILURE(expect_answers(maps, model)) << "round " << round;
    ASSERT_TRUE(tables->differences().empty()) << tables->differences()[0];
  }
  // Nothing is left behind.
  ASSERT_TRUE(tables->apply(dataplane::delta(model, {}), now).empty());
  for (const auto& usage : tables->usage()) {
    EXPECT_EQ(usage.used, 0u) << usage.name;
  }
}

TEST_F(TablesTest, ABackendThatStaysKeepsItsName) {
  Maps maps(10, 1000, 100);
  auto tables = Tables::open(maps.tables);
  auto now = TimePoint(std::chrono::hours(1));
  auto one = testing::service(dataplane::Protocol::tcp, "10.96.0.1", {"10.1.0.1", "10.1.0.2"});
  auto two = testing::service(dataplane::Protocol::tcp, "10.96.0.1", {"10.1.0.2", "10.1.0.3"});
  auto names = [&] {
    std::map<std::string, uint32_t> result;
    for (uint32_t row = 1; row < 100; row++) {
      auto backend = row_of<kl_backend>(maps.backends, row);
      if (backend.name) {
        result[from_kl(backend.address).to_string()] = backend.name;
      }
    }
    return result;
  };
  ASSERT_TRUE(tables->apply({.changed = {{{"n/s"}, one}}, .removed = {}}, now).empty());
  auto before = names();
  ASSERT_TRUE(tables->apply({.changed = {{{"n/s"}, two}}, .removed = {}}, now).empty());
  auto after = names();
  EXPECT_EQ(after.at("10.1.0.2"), before.at("10.1.0.2"));
  EXPECT_FALSE(after.contains("10.1.0.1"));
  tables = Tables::open(maps.tables);
  Model model;
  model.services[{"n/s"}] = two;
  ASSERT_TRUE(tables->adopt(model, now).empty());
  EXPECT_EQ(names(), after);
}

TEST_F(TablesTest, WantsRowsForWhatComesAndNotForWhatStays) {
  Maps maps(10, 1000, 100);
  auto tables = Tables::open(maps.tables);
  auto now = TimePoint(std::chrono::hours(1));
  auto wanted = [&](const Service& service) {
    auto rows = tables->wanted({.changed = {{{"n/a"}, service}}, .removed = {}});
    return std::array{rows.frontends, rows.services, rows.slots, rows.backends};
  };
  auto one = testing::service(dataplane::Protocol::tcp, "10.96.0.1", {"10.1.0.1", "10.1.0.2"});
  EXPECT_EQ(wanted(one), (std::array<uint64_t, 4>{1, 1, 2, 2}));
  ASSERT_TRUE(tables->apply({.changed = {{{"n/a"}, one}}, .removed = {}}, now).empty());
  EXPECT_EQ(wanted(one), (std::array<uint64_t, 4>{1, 1, 2, 2})) << "nothing comes";
  auto pools = row_of<kl_service>(maps.services, 1).pool[KL_CLUSTER];
  ASSERT_TRUE(tables->apply({.changed = {{{"n/a"}, one}}, .removed = {}}, now).empty());
  EXPECT_EQ(row_of<kl_service>(maps.services, 1).pool[KL_CLUSTER], pools) << "written again where it is";
  auto two = testing::service(dataplane::Protocol::tcp, "10.96.0.1", {"10.1.0.2", "10.1.0.3", "10.1.0.4"});
  EXPECT_EQ(wanted(two), (std::array<uint64_t, 4>{1, 1, 2 + 3, 2 + 2}))
      << "a pool beside the one before, two endpoints";
}

TEST_F(TablesTest, WhatDoesNotFitIsNamedAndTheRestStays) {
  Maps maps(10, 100, 4);
  auto tables = Tables::open(maps.tables);
  auto now = TimePoint(std::chrono::hours(1));
  auto small = testing::service(dataplane::Protocol::tcp, "10.96.0.1", {"10.1.0.1"});
  auto large = testing::service(dataplane::Protocol::tcp, "10.96.0.2", {"10.1.0.2", "10.1.0.3", "10.1.0.4"});
  auto errors = tables->apply({.changed = {{{"n/a"}, small}, {{"n/b"}, large}}, .removed = {}}, now);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].kind(), Kind::exhausted);
  EXPECT_EQ(errors[0].message(), "service n/b: no room for endpoint 10.1.0.4: all 4 rows of backends are in use");
  EXPECT_TRUE(tables->is_programmed({"n/a"}));
  EXPECT_FALSE(tables->is_programmed({"n/b"}));
  ASSERT_TRUE(tables->apply({.changed = {}, .removed = {{"n/a"}}}, now).empty());
  EXPECT_TRUE(tables->apply({.changed = {{{"n/b"}, large}}, .removed = {}}, now + kGracePeriod).empty());
}

}  // namespace
}  // namespace keelson::ebpf
