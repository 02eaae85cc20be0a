// SPDX-License-Identifier: Apache-2.0
// While programs take over from others: whose a packet is, and what a row that is carried over may replace.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>

#include <cstring>
#include <optional>

#include "ebpf/mapped_array.h"
#include "ebpf/object.h"
#include "ebpf/testing.h"

namespace keelson::ebpf::testing {
namespace {

constexpr int kBefore = 42;  // what the program before returns

// The flow of a test: 10.1.0.3:its port -> 10.1.0.1:30080.
constexpr const char *kClient = "10.1.0.3", *kNode = "10.1.0.1";
constexpr uint16_t kNodePort = 30080;

kl_addr address(const std::string& text) {
  kl_addr result{{0, 0, htonl(0xffff), 0}};
  inet_pton(AF_INET, text.c_str(), &result.word[3]);
  return result;
}

class TransitionTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!why_not().empty()) {
      return;
    }
    auto object = ServicesObject::open();
    ASSERT_TRUE(object) << object.error().message();
    object->move_connections();
    ASSERT_TRUE(object->set_sizes({64, 64, 64, 64, 1024, 64}, nullptr));
    auto loaded = object->load(0);
    ASSERT_TRUE(loaded) << loaded.error().message();
    auto transition = MappedArray<kl_transition>::map(object->map("transition"), 1, "transition");
    auto moved = MappedArray<kl_moved>::map(object->map("moved"), KL_MOVED_ROWS, "moved");
    ASSERT_TRUE(transition && moved);
    transition_.emplace(std::move(*transition));
    moved_.emplace(std::move(*moved));
    object_.emplace(std::move(*object));

    kl_config config{};
    for (auto& protocol : config.timeout) {
      std::fill(std::begin(protocol), std::end(protocol), 1u << 20);
    }
    uint32_t row = 0;
    ASSERT_EQ(bpf_map_update_elem(object_->map("config"), &row, &config, BPF_ANY), 0);
    const bpf_insn instructions[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = kBefore},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    Fd before(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "before", "GPL", instructions, 2, nullptr));
    uint32_t hook = KL_AFTER_UPLINK_INGRESS;
    int fd = before.get();
    ASSERT_EQ(bpf_map_update_elem(object_->map("predecessors_tc"), &hook, &fd, BPF_ANY), 0) << strerror(errno);
  }
  static void TearDownTestSuite() {
    transition_.reset();
    moved_.reset();
    object_.reset();
  }
  void SetUp() override {
    if (auto reason = why_not(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    ASSERT_TRUE(object_);
    port_++;
    (*transition_)[0].phase = KL_PHASE_LEAD;
  }

  // A row of the flow that leads to this port, of a connection in this state; `copy`: how sure it is. What became of
  // it.
  uint32_t carry_over(uint16_t to_port, uint8_t state, uint16_t copy) {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    auto& row = (*moved_)[0];
    row = {};
    row.src = address(kClient);
    row.dst = address(kNode);
    row.sport = htons(port_);
    row.dport = htons(kNodePort);
    row.protocol = IPPROTO_TCP;
    row.to_src = address(kNode);
    row.to_dst = address("10.3.0.1");
    row.to_sport = htons(to_port);
    row.to_dport = htons(8080);
    row.state = state;
    row.flags = static_cast<uint16_t>(KL_CT_MASQUERADED | copy << KL_CT_COPY_SHIFT);
    row.rest.seen = static_cast<uint32_t>((uint64_t(now.tv_sec) * 1'000'000'000u + now.tv_nsec) >> KL_TIME_SHIFT);
    (*transition_)[0].moved = 1;
    run("store_moved", std::vector<uint8_t>(64));
    return row.result;
  }

  int run(const char* program, std::vector<uint8_t> packet) {
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(),
                .data_size_in = static_cast<uint32_t>(packet.size()));
    EXPECT_EQ(bpf_prog_test_run_opts(object_->program(program), &options), 0) << strerror(errno);
    return static_cast<int>(options.retval);
  }
  // Whether the program before got a packet of the flow with these TCP flags.
  bool is_left_to_those_before(uint8_t flags) {
    std::vector<uint8_t> packet(sizeof(ethhdr) + sizeof(iphdr) + sizeof(tcphdr) + 20);
    ethhdr eth{};
    eth.h_proto = htons(ETH_P_IP);
    iphdr ip{};
    ip.version = 4;
    ip.ihl = 5;
    ip.ttl = 64;
    ip.protocol = IPPROTO_TCP;
    ip.tot_len = htons(static_cast<uint16_t>(packet.size() - sizeof eth));
    inet_pton(AF_INET, kClient, &ip.saddr);
    inet_pton(AF_INET, kNode, &ip.daddr);
    tcphdr tcp{};
    tcp.source = htons(port_);
    tcp.dest = htons(kNodePort);
    tcp.doff = 5;
    tcp.th_flags = flags;
    std::memcpy(packet.data(), &eth, sizeof eth);
    std::memcpy(&packet[sizeof eth], &ip, sizeof ip);
    std::memcpy(&packet[sizeof eth + sizeof ip], &tcp, sizeof tcp);
    return run("uplink_ingress_after", packet) == kBefore;
  }

  // Of the flow, where it leads to; its state. Nothing: it has no row.
  struct Known {
    uint16_t to_port = 0;
    int state = 0;
    bool operator==(const Known&) const = default;
  };
  std::optional<Known> known() {
    std::optional<Known> found;
    kl_ct4_bucket bucket;
    for (uint32_t i = 0; bpf_map_lookup_elem(object_->map("connections4"), &i, &bucket) == 0; i++) {
      for (int way = 0; way < KL_CT_WAYS; way++) {
        if (bucket.tag[way] && bucket.row[way].sport == htons(port_)) {
          EXPECT_FALSE(found) << "two rows of one flow";
          found = Known{ntohs(bucket.row[way].to_sport), bucket.row[way].state};
        }
      }
    }
    return found;
  }

  // Loading takes the verifier a second: once for all.
  static inline std::optional<ServicesObject> object_;
  static inline std::optional<MappedArray<kl_transition>> transition_;
  static inline std::optional<MappedArray<kl_moved>> moved_;
  static inline uint16_t port_ = 40000;
};

TEST_F(TransitionTest, OnlyWhatBeginsIsLed) {
  EXPECT_FALSE(is_left_to_those_before(TH_SYN));
  EXPECT_TRUE(is_left_to_those_before(TH_ACK)) << "of a flow that is not known here";
  EXPECT_EQ(carry_over(2000, KL_CT_ESTABLISHED, 0), KL_MOVED_STORED);
  EXPECT_FALSE(is_left_to_those_before(TH_ACK)) << "of a flow that began here";
  (*transition_)[0].phase = KL_PHASE_FOLLOW;
  EXPECT_TRUE(is_left_to_those_before(TH_SYN));
  (*transition_)[0].phase = KL_PHASE_ALONE;
  EXPECT_FALSE(is_left_to_those_before(TH_ACK));
}

// The ports of a flow that had ended when it was copied begin another before these programs lead: its packets must not
// go where the first one's went.
TEST_F(TransitionTest, ACopyThatIsBehindDecidesNothing) {
  ASSERT_EQ(carry_over(2000, KL_CT_CLOSING, 1), KL_MOVED_STORED);
  EXPECT_TRUE(is_left_to_those_before(TH_ACK));
  EXPECT_EQ(carry_over(3000, KL_CT_ESTABLISHED, 1), KL_MOVED_STORED);
  EXPECT_EQ(known(), (Known{3000, KL_CT_ESTABLISHED}));
  EXPECT_TRUE(is_left_to_those_before(TH_ACK)) << "there may be more";
  (*transition_)[0].phase = KL_PHASE_ALONE;
  EXPECT_FALSE(is_left_to_those_before(TH_ACK));
}

TEST_F(TransitionTest, WhatACopyHasSeenStays) {
  ASSERT_EQ(carry_over(2000, KL_CT_ESTABLISHED, 1), KL_MOVED_STORED);
  EXPECT_TRUE(is_left_to_those_before(TH_FIN | TH_ACK));
  EXPECT_EQ(carry_over(2000, KL_CT_ESTABLISHED, 1), KL_MOVED_STORED);
  EXPECT_EQ(known(), (Known{2000, KL_CT_CLOSING}));
}

TEST_F(TransitionTest, NoCopyReplacesWhatBeganHere) {
  ASSERT_EQ(carry_over(2000, KL_CT_ESTABLISHED, 0), KL_MOVED_STORED);
  EXPECT_EQ(carry_over(3000, KL_CT_CLOSING, 1), KL_MOVED_KNOWN);
  EXPECT_EQ(known(), (Known{2000, KL_CT_ESTABLISHED})) << "nor says that it ends";
}

TEST_F(TransitionTest, TheSurerCopyStays) {
  ASSERT_EQ(carry_over(2000, KL_CT_ESTABLISHED, 2), KL_MOVED_STORED);
  EXPECT_EQ(carry_over(3000, KL_CT_ESTABLISHED, 1), KL_MOVED_STORED);
  EXPECT_EQ(carry_over(2000, KL_CT_ESTABLISHED, 2), KL_MOVED_KNOWN);
  EXPECT_EQ(known(), (Known{3000, KL_CT_ESTABLISHED}));
}

}  // namespace
}  // namespace keelson::ebpf::testing
