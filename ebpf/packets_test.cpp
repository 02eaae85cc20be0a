// SPDX-License-Identifier: Apache-2.0
// Random packets, whole and broken, through the tc program: what comes out has right checksums and goes where a
// frontend says, and what is no frontend's comes out as it was.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <thread>

#include "ebpf/connection_table.h"
#include "ebpf/programs.h"
#include "ebpf/testing.h"

namespace keelson::ebpf::testing {
namespace {

using Bytes = std::vector<uint8_t>;

uint32_t sum(const uint8_t* data, size_t size, uint32_t start = 0) {
  uint64_t total = start;
  for (size_t i = 0; i < size; i++) {
    total += i % 2 ? data[i] : data[i] << 8;
  }
  while (total >> 16) {
    total = (total & 0xffff) + (total >> 16);
  }
  return static_cast<uint32_t>(total);
}

struct Layout {
  bool v6;
  uint8_t protocol;
  size_t l4;
};

// Of the pseudo header and the transport's bytes: 0xffff when the checksum in them is right.
uint32_t transport_sum(const Bytes& p, const Layout& at) {
  auto size = static_cast<uint32_t>(p.size() - at.l4);
  uint32_t start = at.v6 ? sum(&p[22], 32) : sum(&p[26], 8);
  return sum(&p[at.l4], size, start + at.protocol + size);
}

void put16(Bytes& p, size_t at, uint16_t value) {
  p[at] = static_cast<uint8_t>(value >> 8);
  p[at + 1] = static_cast<uint8_t>(value);
}

// To 10.96.0.1 or fd96::1, port 80, or next to them; with options or extension headers, and right checksums.
Bytes make_packet(std::mt19937& random, Layout& at) {
  at.v6 = random() % 2;
  at.protocol = random() % 2 ? 6 : 17;
  size_t options = random() % 3 ? 0 : random() % 10 * 4;
  bool extended = at.v6 && random() % 3 == 0;
  at.l4 = at.v6 ? 54 + (extended ? 8 : 0) : 34 + options;
  Bytes p(at.l4 + (at.protocol == 6 ? 20 : 8) + random() % 60);
  for (size_t i = at.l4; i < p.size(); i++) {
    p[i] = static_cast<uint8_t>(random());
  }
  put16(p, 12, at.v6 ? ETH_P_IPV6 : ETH_P_IP);
  auto service = static_cast<uint8_t>(random() % 4 ? 1 : 2);
  if (at.v6) {
    p[14] = 0x60;
    put16(p, 18, static_cast<uint16_t>(p.size() - 54));
    p[20] = extended ? 60 : at.protocol;
    p[21] = 64;
    if (extended) {
      p[54] = at.protocol;
    }
    inet_pton(AF_INET6, "fd01::3", &p[22]);
    inet_pton(AF_INET6, service == 1 ? "fd96::1" : "fd96::2", &p[38]);
  } else {
    p[14] = static_cast<uint8_t>(0x45 + options / 4);
    put16(p, 16, static_cast<uint16_t>(p.size() - 14));
    p[22] = 64;
    p[23] = at.protocol;
    inet_pton(AF_INET, "10.1.0.3", &p[26]);
    inet_pton(AF_INET, service == 1 ? "10.96.0.1" : "10.96.0.2", &p[30]);
    put16(p, 24, static_cast<uint16_t>(~sum(&p[14], at.l4 - 14)));
  }
  put16(p, at.l4 + 2, random() % 8 ? 80 : 81);
  if (at.protocol == 6) {
    p[at.l4 + 12] = 0x50;
  } else {
    put16(p, at.l4 + 4, static_cast<uint16_t>(p.size() - at.l4));
  }
  size_t check = at.l4 + (at.protocol == 6 ? 16 : 6);
  put16(p, check, 0);
  put16(p, check, static_cast<uint16_t>(~transport_sum(p, at)));
  if (at.protocol == 17 && p[check] == 0 && p[check + 1] == 0) {
    put16(p, check, 0xffff);
  }
  return p;
}

class PacketsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = why_not(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    net_.emplace();
    inside_.emplace(net_->enter("node"));
    pins_ = "/sys/fs/bpf/keelson-packets-" + std::to_string(getpid());
    auto programs = Programs::load({pins_,
                                    {.frontends = 64,
                                     .services = 64,
                                     .slots = 64,
                                     .backends = 64,
                                     .connections4 = connections_,
                                     .connections6 = connections_}});
    ASSERT_TRUE(programs) << programs.error().message();
    programs_.emplace(std::move(*programs));
    NodeSettings settings;
    settings.masquerade4 = *dataplane::Address::parse("10.1.0.1");
    settings.masquerade6 = *dataplane::Address::parse("fd01::1");
    ASSERT_TRUE(programs_->configure(settings));
    dataplane::Model model;
    for (auto protocol : {dataplane::Protocol::tcp, dataplane::Protocol::udp}) {
      for (bool v6 : {false, true}) {
        auto one =
            service(protocol, v6 ? "fd96::1" : "10.96.0.1", {v6 ? "fd02::2" : "10.2.0.2", v6 ? "fd03::1" : "10.3.0.1"});
        model.services[{std::string(to_string(protocol)), v6 ? dataplane::Family::ipv6 : dataplane::Family::ipv4}] =
            one;
      }
    }
    auto tables = Tables::open(programs_->table_maps());
    ASSERT_TRUE(tables);
    tables_.emplace(std::move(*tables));
    ASSERT_TRUE(tables_->adopt(model, std::chrono::steady_clock::now()).empty());
  }
  void TearDown() override {
    tables_.reset();
    programs_.reset();
    if (!pins_.empty()) {
      EXPECT_TRUE(Programs::remove(pins_));
      std::filesystem::remove(pins_);
    }
    inside_.reset();
  }

  // The verdict; `packet` becomes what came out.
  int run(Bytes& packet) {
    Bytes out(packet.size() + 256);
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_out = out.data(),
                .data_size_in = static_cast<uint32_t>(packet.size()),
                .data_size_out = static_cast<uint32_t>(out.size()));
    if (bpf_prog_test_run_opts(programs_->program("uplink_ingress"), &options) != 0) {
      return -2;
    }
    out.resize(options.data_size_out);
    packet = out;
    return static_cast<int>(options.retval);
  }

  uint32_t connections_ = 1 << 14;
  std::optional<SmallNet> net_;
  std::optional<NetnsGuard> inside_;
  std::string pins_;
  std::optional<Programs> programs_;
  std::optional<Tables> tables_;
};

TEST_F(PacketsTest, WhatIsRewrittenIsRight) {
  std::mt19937 random(21);
  int rewritten = 0, passed = 0;
  for (int i = 0; i < 100'000; i++) {
    Layout at;
    auto before = make_packet(random, at);
    auto after = before;
    ASSERT_GE(run(after), -1);
    bool ours = before[at.l4 + 3] == 80 && before[at.v6 ? 53 : 33] == 1;
    if (!ours) {
      ASSERT_EQ(after, before) << i;
      passed++;
      continue;
    }
    ASSERT_EQ(after.size(), before.size());
    ASSERT_EQ(transport_sum(after, at), 0xffffu) << "packet " << i << (at.v6 ? " IPv6" : " IPv4");
    if (!at.v6) {
      ASSERT_EQ(sum(&after[14], at.l4 - 14), 0xffffu) << i;
    }
    ASSERT_EQ(after[at.l4 + 2] << 8 | after[at.l4 + 3], 8080) << i;
    ASSERT_TRUE(after[at.v6 ? 39 : 31] == 2 || after[at.v6 ? 39 : 31] == 3) << i;
    // The payload is nobody's business.
    size_t payload = at.l4 + (at.protocol == 6 ? 18 : 8);
    ASSERT_TRUE(std::equal(after.begin() + payload, after.end(), before.begin() + payload)) << i;
    rewritten++;
  }
  EXPECT_GT(rewritten, 50'000);
  EXPECT_GT(passed, 10'000);
}

// The stack drops it, and counts it as a martian.
TEST_F(PacketsTest, FromNobodyTheyAreLeftToTheStack) {
  const std::vector<std::string> nobody = {"127.0.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1",       "239.1.1.1",
                                           "::1",       "::",      "ff02::1", "::ffff:10.1.0.3", "255.255.255.255"};
  const std::vector<std::string> somebody = {"240.0.0.1", "1.2.3.4", "223.1.1.1", "fe80::1", "::2", "fd01::ffff:0:1"};
  std::mt19937 random(23);
  for (bool martian : {true, false}) {
    for (const auto& source : martian ? nobody : somebody) {
      bool v6 = source.find(':') != source.npos;
      Layout at;
      Bytes before;
      do {
        before = make_packet(random, at);
      } while (at.v6 != v6 || before[at.l4 + 3] != 80 || before[v6 ? 53 : 33] != 1);
      inet_pton(v6 ? AF_INET6 : AF_INET, source.c_str(), &before[v6 ? 22 : 26]);
      auto after = before;
      int verdict = run(after);
      EXPECT_EQ(after == before && verdict == -1, martian) << source << ": " << verdict;
    }
  }
}

TEST_F(PacketsTest, AServiceThatComesIsFoundAtOnce) {
  std::mt19937 random(25);
  Layout at;
  Bytes before;
  do {
    before = make_packet(random, at);
  } while (at.v6 || at.protocol != 17 || before[at.l4 + 3] != 80 || before[33] != 2);
  auto is_translated = [&] {
    auto after = before;
    run(after);
    return after != before;
  };
  EXPECT_FALSE(is_translated());
  dataplane::Delta change;
  change.changed[{"late"}] = service(dataplane::Protocol::udp, "10.96.0.2", {"10.2.0.2"});
  ASSERT_TRUE(tables_->apply(change, std::chrono::steady_clock::now()).empty());
  EXPECT_TRUE(is_translated());
  ASSERT_TRUE(tables_->apply({.removed = {{"late"}}}, std::chrono::steady_clock::now()).empty());
  EXPECT_FALSE(is_translated());
}

TEST_F(PacketsTest, BrokenOnesAreNeverMadeLonger) {
  std::mt19937 random(22);
  for (int i = 0; i < 100'000; i++) {
    Layout at;
    auto packet = make_packet(random, at);
    for (auto flips = random() % 6; flips-- > 0;) {
      packet[12 + random() % (packet.size() - 12)] = static_cast<uint8_t>(random());
    }
    if (random() % 3 == 0) {
      packet.resize(14 + random() % (packet.size() - 13));
    }
    auto size = packet.size();
    int verdict = run(packet);
    // -2: the kernel itself refuses such a frame.
    ASSERT_TRUE(verdict == -2 || verdict == -1 || verdict == 2 || verdict == 7) << verdict;
    ASSERT_TRUE(verdict == -2 || packet.size() == size || verdict == 2 || verdict == 7) << i;
  }
}

// One bucket for each family, and more flows than it has rows: each packet finds a row that another CPU may be giving
// to another flow, and writes one.
class CrowdedTest : public PacketsTest {
 protected:
  explicit CrowdedTest(uint32_t connections = KL_CT_WAYS) { connections_ = connections; }

  static std::pair<Layout, Bytes> datagram_to_service(std::mt19937& random, bool v6) {
    for (;;) {
      Layout at;
      auto packet = make_packet(random, at);
      if (at.v6 == v6 && at.protocol == 17 && packet[at.l4 + 3] == 80 && packet[v6 ? 53 : 33] == 1) {
        return {at, packet};
      }
    }
  }

  // Of a datagram from this port: ports and address after it was translated; anything else is `wrong`.
  std::string translated(const Layout& at, const Bytes& packet, uint16_t port) {
    auto copy = packet;
    put16(copy, at.l4, port);
    put16(copy, at.l4 + 6, 0);
    put16(copy, at.l4 + 6, static_cast<uint16_t>(~transport_sum(copy, at)));
    if (run(copy) < -1 || copy.size() != packet.size()) {
      return "wrong";
    }
    return std::string(copy.begin() + static_cast<long>(at.v6 ? 22 : 26),
                       copy.begin() + static_cast<long>(at.v6 ? 54 : 34)) +
           std::string(copy.begin() + static_cast<long>(at.l4), copy.begin() + static_cast<long>(at.l4) + 4);
  }
};

// Of the flow that has to go, too: a row whose twin is gone sends packets on whose replies nobody knows.
TEST_F(CrowdedTest, AFlowIsForgottenWhole) {
  auto table = ConnectionTable::open(*programs_);
  ASSERT_TRUE(table) << table.error().message();
  std::mt19937 random(26);
  for (bool v6 : {false, true}) {
    auto [at, packet] = datagram_to_service(random, v6);
    for (uint16_t port = 5000; port < 5100; port++) {
      ASSERT_NE(translated(at, packet, port), "wrong");
      std::vector<Connection> rows;
      ConnectionTable::Position position;
      while (*table->read(position, rows)) {
      }
      std::map<std::pair<SocketAddress, SocketAddress>, int> rows_of;
      for (const auto& row : rows) {
        rows_of[{row.client, row.backend}]++;
      }
      for (const auto& [ends, count] : rows_of) {
        ASSERT_EQ(count, 2) << "of " << ends.first.to_string() << " after " << port;
      }
    }
    EXPECT_GT(programs_->counters()->at(KL_FLOWS_EVICTED), 40U);
  }
}

TEST_F(CrowdedTest, NoRowIsReadHalfWritten) {
  constexpr uint16_t kFlows = 16;
  std::mt19937 random(24);
  for (bool v6 : {false, true}) {
    const auto [at, packet] = datagram_to_service(random, v6);
    std::vector<std::string> expected;
    for (uint16_t flow = 0; flow < kFlows; flow++) {
      expected.push_back(translated(at, packet, static_cast<uint16_t>(5000 + flow)));
      ASSERT_EQ(expected.back().substr(expected.back().size() - 2), "\x1f\x90") << flow;
    }
    std::atomic<int> wrong = 0;
    std::vector<std::jthread> threads;
    for (unsigned seed = 0; seed < 2; seed++) {
      threads.emplace_back([&, seed] {
        std::mt19937 own(seed);
        for (int i = 0; i < 200'000; i++) {
          auto flow = static_cast<uint16_t>(own() % kFlows);
          wrong += translated(at, packet, static_cast<uint16_t>(5000 + flow)) != expected[flow];
        }
      });
    }
    threads.clear();
    EXPECT_EQ(wrong, 0) << (v6 ? "IPv6" : "IPv4");
  }
}

// Fuller than a table gets before it grows (growth.cpp).
class NearlyFullTest : public CrowdedTest {
 protected:
  static constexpr uint32_t kRows = 256 * KL_CT_WAYS;
  NearlyFullTest() : CrowdedTest(kRows) {}
};

// Rows are moved to make room, and found while they are: no flow goes, and none begins twice.
TEST_F(NearlyFullTest, EveryFlowKeepsItsRows) {
  constexpr uint16_t kFlows = kRows * 2 / 3 / 2;
  std::mt19937 random(27);
  for (bool v6 : {false, true}) {
    const auto [at, packet] = datagram_to_service(random, v6);
    const auto before = *programs_->counters();
    std::atomic<uint16_t> open = 1;
    translated(at, packet, 5000);
    {
      std::jthread others([&, seed = random()] {
        std::mt19937 own(seed);
        while (open < kFlows) {
          translated(at, packet, static_cast<uint16_t>(5000 + own() % open));
        }
      });
      while (open < kFlows) {
        translated(at, packet, static_cast<uint16_t>(5000 + open));
        open++;
      }
    }
    const auto after = *programs_->counters();
    EXPECT_EQ(after[KL_FLOWS_NEW] - before[KL_FLOWS_NEW], kFlows) << (v6 ? "IPv6" : "IPv4");
    EXPECT_EQ(after[KL_FLOWS_EVICTED], before[KL_FLOWS_EVICTED]) << (v6 ? "IPv6" : "IPv4");
  }
}

}  // namespace
}  // namespace keelson::ebpf::testing
