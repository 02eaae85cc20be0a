// SPDX-License-Identifier: Apache-2.0
// What the programs tell of packets that went no further, and of flows that begin.
#include <arpa/inet.h>
#include <poll.h>

#include <algorithm>
#include <set>

#include "ebpf/flow_events.h"
#include "ebpf/service_fixture.h"

namespace keelson::ebpf::testing {
namespace {

using dataplane::Protocol;
using dataplane::Verdict;

class EventsTest : public ServiceFixture {
 protected:
  void listen(bool drops, bool flows, uint32_t rate = 1000) {
    settings_.drop_events = drops;
    settings_.flow_events = flows;
    settings_.events_per_second = rate;
    ASSERT_TRUE(programs_->configure(settings_));
    auto events =
        FlowEvents::open(programs_->map("events"), [this](const kl_event& event) { heard_.push_back(event); });
    ASSERT_TRUE(events) << events.error().message();
    events_.emplace(std::move(*events));
  }
  // Those of one kind, within that time if there are none yet.
  std::vector<kl_event> heard(uint32_t counter, int patience = Socket::kPatience) {
    std::vector<kl_event> result;
    for (int waited = 0; waited < patience && result.empty(); waited += 100) {
      pollfd ready{events_->fd(), POLLIN, 0};
      poll(&ready, 1, 100);
      EXPECT_TRUE(events_->drain());
      std::ranges::copy_if(heard_, std::back_inserter(result), [&](const auto& e) { return e.counter == counter; });
    }
    return result;
  }
  void TearDown() override {
    events_.reset();
    ServiceFixture::TearDown();
  }

  std::vector<kl_event> heard_;
  std::optional<FlowEvents> events_;
};

TEST_P(EventsTest, DropsAndRejectsAreTold) {
  auto silent = service(Protocol::tcp, at().vip, {at().other});
  silent.frontends[0].uses.fill({Verdict::drop});
  program({{"silent", silent}, {"nobody", service(Protocol::udp, at().vip, {})}});
  listen(true, false);
  auto client = Socket::tcp(*net_, "pod1", v6());
  client.connect(at().vip, 80, 50);
  auto dropped = heard(KL_DROP_NO_LOCAL);
  ASSERT_FALSE(dropped.empty());
  EXPECT_EQ(from_kl(dropped[0].flow.src).to_string(), at().pod1);
  EXPECT_EQ(from_kl(dropped[0].flow.dst).to_string(), at().vip);
  EXPECT_EQ(dropped[0].flow.dport, htons(80));
  EXPECT_EQ(dropped[0].flow.protocol, 6);
  EXPECT_EQ(dropped[0].ifindex, static_cast<uint32_t>(net_->ifindex("node", "p1")));
  EXPECT_EQ(dropped[0].hook, static_cast<uint32_t>(KL_AT_INGRESS));
  ASSERT_TRUE(tables_->service_of_row(dropped[0].service));
  EXPECT_EQ(tables_->service_of_row(dropped[0].service)->name, "silent");
  EXPECT_TRUE(kl_no_addr(&dropped[0].onward.dst));

  auto datagrams = Socket::udp(*net_, "client", v6());
  datagrams.send_to("anybody?", at().vip, 80);
  auto rejected = heard(KL_REJECTED);
  ASSERT_EQ(rejected.size(), 1u);
  EXPECT_EQ(from_kl(rejected[0].flow.src).to_string(), at().client);
  EXPECT_EQ(tables_->service_of_row(rejected[0].service)->name, "nobody");
}

TEST_P(EventsTest, FlowsThatBeginAreToldWhenWanted) {
  auto listener = server("pod2", at().pod2);
  program({{"s", service(Protocol::tcp, at().vip, {at().pod2})}});
  listen(true, false);
  source_seen("pod1", at().vip, 80, listener);
  EXPECT_TRUE(heard(KL_FLOWS_NEW, Socket::kSilence).empty());
  listen(false, true);
  source_seen("pod1", at().vip, 80, listener);
  auto flows = heard(KL_FLOWS_NEW);
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(from_kl(flows[0].onward.src).to_string(), at().pod1);
  EXPECT_EQ(from_kl(flows[0].onward.dst).to_string(), at().pod2);
  EXPECT_EQ(flows[0].onward.dport, htons(8080));
  EXPECT_EQ(flows[0].onward.sport, flows[0].flow.sport);
  EXPECT_NE(flows[0].backend, 0u);
}

TEST_P(EventsTest, AFloodIsToldInPartAndTheRestCounted) {
  program({{"nobody", service(Protocol::udp, at().vip, {})}});
  listen(true, false, 10);
  auto datagrams = Socket::udp(*net_, "pod1", v6());
  for (int i = 0; i < 500; i++) {
    datagrams.send_to("x", at().vip, 80);
  }
  EXPECT_TRUE(counted(KL_REJECTED, 500));
  auto told = heard(KL_REJECTED).size();
  EXPECT_GE(told, 10u);
  EXPECT_LE(told, 200u);  // 10 a second and CPU, and it took less than 5 s.
  EXPECT_EQ(told + programs_->counters()->at(KL_EVENTS_LOST), 500u);
}

TEST(CounterNameTest, EveryCounterHasALabelOfItsOwn) {
  std::set<std::string_view> labels;
  for (uint32_t i = 0; i < KL_COUNTERS; i++) {
    EXPECT_TRUE(labels.insert(name_of(i).label).second) << name_of(i).label;
    EXPECT_FALSE(name_of(i).text.empty());
  }
  EXPECT_EQ(name_of(KL_DROP_NO_LOCAL).kind, KL_DROPS);
  EXPECT_EQ(name_of(KL_COUNTERS).label, "unknown");
}

INSTANTIATE_TEST_SUITE_P(Families, EventsTest, ::testing::Values(false, true),
                         [](const auto& family) { return family.param ? "IPv6" : "IPv4"; });

}  // namespace
}  // namespace keelson::ebpf::testing
