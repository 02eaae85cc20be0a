// SPDX-License-Identifier: Apache-2.0
// Maps that become larger under real packets: nothing that goes on notices.
#include "ebpf/growth.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "ebpf/flow_events.h"
#include "ebpf/map_memory.h"
#include "ebpf/service_fixture.h"

namespace keelson::ebpf::testing {
namespace {

namespace fs = std::filesystem;
using dataplane::Protocol;
using dataplane::Service;

TimePoint now() {
  return std::chrono::steady_clock::now();
}

class GrowthTest : public ServiceFixture {
 protected:
  void SetUp() override {
    ServiceFixture::SetUp();
    if (IsSkipped()) {
      return;
    }
    listener_.emplace(server("other", at().other));
    auto masqueraded = service(Protocol::tcp, at().external, {at().other});
    for (auto& use : masqueraded.frontends[0].uses) {
      use.masquerade = true;
    }
    program({{"s", service(Protocol::tcp, at().vip, {at().other})}, {"masqueraded", masqueraded}});
  }

  // From a pod, and masqueraded from outside.
  void open_connections() {
    for (int i = 0; i < 20; i++) {
      auto& client = clients_.emplace_back(Socket::tcp(*net_, i % 2 ? "client" : "pod1", v6()));
      ASSERT_EQ(client.connect(i % 2 ? at().external : at().vip, 80), 0) << i;
      auto accepted = listener_->accept();
      ASSERT_TRUE(accepted) << i;
      servers_.push_back(std::move(*accepted));
    }
  }
  void all_go_on(const std::string& when) {
    for (size_t i = 0; i < clients_.size(); i++) {
      EXPECT_EQ(servers_[i].send("from the server"), 0) << when;
      EXPECT_EQ(clients_[i].receive(), "from the server") << when << i;
      EXPECT_EQ(clients_[i].send("from the client"), 0) << when;
      EXPECT_EQ(servers_[i].receive(), "from the client") << when << i;
    }
  }

  // Grows while connections are opened all the time; what those saw that failed.
  std::vector<std::string> grow_under_load(const ProgramSizes& sizes) {
    std::atomic<bool> enough = false;
    int opened = 0;
    std::vector<std::string> failed;
    auto busy = server("pod2", at().pod2);
    auto wanted = model_.services;
    wanted[{"busy"}] = service(Protocol::tcp, at().external, {at().pod2});
    wanted[{"busy"}].frontends[0].port = 81;
    std::map<std::string, Service> named;
    for (const auto& [key, each] : wanted) {
      named[key.name] = each;
    }
    program(named);
    std::jthread load([&] {
      while (!enough) {
        bool outside = opened++ % 2;
        // A busy machine may take its time, but not the second after which a lost SYN is sent again.
        auto seen = source_seen(outside ? "client" : "pod1", at().external, 81, busy, 900);
        if (seen != host(outside ? at().client : at().pod1)) {
          failed.push_back(seen);
        }
      }
    });
    auto grower = programs_->grower(sizes);
    auto prepared = grower.prepare();
    EXPECT_TRUE(prepared) << prepared.error().message();
    auto grown = programs_->grow(std::move(grower));
    EXPECT_TRUE(grown) << grown.error().message();
    EXPECT_TRUE(tables_->grow(programs_->table_maps()));
    enough = true;
    load.join();
    EXPECT_GT(opened, 0);
    return failed;
  }

  void is_whole() {
    EXPECT_EQ(tables_->differences(model_), std::vector<std::string>{});
    EXPECT_EQ(std::ranges::distance(fs::directory_iterator(pins_ + "/services")), 2)
        << "more than the links and one generation are pinned";
  }

  std::optional<Socket> listener_;
  std::vector<Socket> clients_, servers_;
};

class GrowthOfOneFamilyTest : public GrowthTest {};

TEST_P(GrowthTest, TablesOfServices) {
  open_connections();
  auto sizes = programs_->sizes();
  sizes.services *= 2;
  sizes.frontends *= 2;
  sizes.slots *= 4;
  sizes.backends *= 2;
  EXPECT_EQ(grow_under_load(sizes), std::vector<std::string>{});
  EXPECT_EQ(programs_->sizes(), sizes);
  all_go_on("grown");
  is_whole();
  // The programs look into the new tables, and the rows that were added are used.
  std::map<std::string, Service> many;
  for (int i = 0; i < 400; i++) {
    auto one = service(Protocol::tcp, at().external, {at().pod2});
    one.frontends[0].port = static_cast<uint16_t>(1000 + i);
    many[fmt::format("many-{:03}", i)] = one;
  }
  program(many);
  auto local = server("pod2", at().pod2);
  EXPECT_EQ(source_seen("pod1", at().external, 1399, local), host(at().pod1));
  EXPECT_EQ(source_seen("pod1", at().external, 1000, local), host(at().pod1));
}

TEST_P(GrowthTest, TablesOfConnections) {
  open_connections();
  auto fresh = programs_->counters()->at(KL_FLOWS_NEW);
  auto sizes = programs_->sizes();
  for (int round = 0; round < 2; round++) {
    // As MapGrowth does with tables that are full, which these are by then.
    sizes.connections4 *= 4;
    sizes.connections6 *= 4;
    EXPECT_EQ(grow_under_load(sizes), std::vector<std::string>{}) << round;
    EXPECT_EQ(programs_->sizes(), sizes);
    fresh = programs_->counters()->at(KL_FLOWS_NEW);
    all_go_on("grown");
    EXPECT_EQ(programs_->counters()->at(KL_FLOWS_NEW), fresh) << "a flow that was open began again";
    is_whole();
  }
  auto load = connection_load(*programs_, v6() ? dataplane::Family::ipv6 : dataplane::Family::ipv4);
  ASSERT_TRUE(load);
  EXPECT_EQ(load->rows, v6() ? sizes.connections6 : sizes.connections4);
  // No port is given out twice, and all are again.
  kl_config config{};
  uint32_t row = 0;
  ASSERT_EQ(bpf_map_lookup_elem(programs_->map("config"), &row, &config), 0);
  EXPECT_EQ(config.nat_port_first, settings_.nat_port_first);
  EXPECT_EQ(config.nat_port_count, settings_.nat_port_count);
}

TEST_P(GrowthOfOneFamilyTest, TheNextDaemonFindsThemAsLargeAndNoneShrinks) {
  open_connections();
  auto sizes = programs_->sizes();
  sizes.services *= 2;
  sizes.connections4 *= 2;
  EXPECT_EQ(grow_under_load(sizes), std::vector<std::string>{});
  tables_.reset();
  programs_.reset();
  load();  // with the sizes of before
  EXPECT_EQ(programs_->sizes(), sizes);
  all_go_on("with the next one");
  auto tables = Tables::open(programs_->table_maps());
  ASSERT_TRUE(tables);
  tables_.emplace(std::move(*tables));
  EXPECT_TRUE(tables_->adopt(model_, now()).empty());
  is_whole();
}

TEST_P(GrowthOfOneFamilyTest, SomethingElseHasGrownMeanwhile) {
  auto sizes = programs_->sizes();
  sizes.services *= 2;
  auto late = programs_->grower(sizes);
  ASSERT_TRUE(late.prepare());
  EXPECT_EQ(grow_under_load(sizes), std::vector<std::string>{});
  auto refused = programs_->grow(std::move(late));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), Kind::conflict);
  is_whole();
}

TEST_P(GrowthOfOneFamilyTest, FollowsWhatIsWantedWithinTheBudget) {
  MapGrowth unbounded(*programs_, *tables_, {});
  auto taken = unbounded.bytes();
  ASSERT_TRUE(taken) << taken.error().message();
  const auto have = programs_->sizes();
  auto more = have;
  more.services *= 2;
  MapGrowth growth(*programs_, *tables_, {.bytes = *taken + bytes_of(more)});
  auto idle = growth.begin();
  ASSERT_TRUE(idle) << idle.error().message();
  EXPECT_FALSE(*idle) << "nothing is nearly full";
  ASSERT_TRUE(growth.make_room({.services = have.services}));
  EXPECT_EQ(programs_->sizes().services, 2 * have.services);
  EXPECT_EQ(programs_->sizes().backends, have.backends);
  EXPECT_EQ(growth.growths(), 1u);

  auto refused = growth.make_room({.backends = 1'000'000});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), Kind::exhausted);
  EXPECT_NE(refused.error().message().find("1000001 rows of backends, where 1024 are"), std::string::npos)
      << refused.error().message();
  EXPECT_NE(refused.error().message().find("--bpf-memory"), std::string::npos);
  EXPECT_EQ(growth.refused(), (std::map<std::string, uint64_t>{{"backends", 1'000'001}}));
  EXPECT_EQ(programs_->sizes().backends, have.backends);
  EXPECT_EQ(source_seen("pod1", at().vip, 80, *listener_), host(at().pod1)) << "what was there goes on";
  is_whole();
}

TEST_P(GrowthTest, TablesOfConnectionsGrowBeforeTheyAreFull) {
  MapGrowth growth(*programs_, *tables_, {});
  open_connections();
  auto client = Socket::udp(*net_, "pod1", v6());
  auto names = server("other", at().other, Protocol::udp);
  auto with_names = model_.services;
  std::map<std::string, Service> named{{"names", service(Protocol::udp, at().vip, {at().other})}};
  for (const auto& [key, each] : with_names) {
    named[key.name] = each;
  }
  program(named);
  const auto have = programs_->sizes();
  const auto rows = v6() ? have.connections6 : have.connections4;
  // A flow for each source port, two rows each.
  for (uint32_t i = 0; i < rows / 2 * 7 / 10; i++) {
    auto one = Socket::udp(*net_, "pod1", v6());
    ASSERT_EQ(one.send_to("new", at().vip, 80), 0);
  }
  auto due = growth.begin();
  ASSERT_TRUE(due && *due);
  ASSERT_TRUE((*due)->prepare());
  ASSERT_TRUE(growth.finish(std::move(**due)));
  const auto sizes = programs_->sizes();
  EXPECT_GT(v6() ? sizes.connections6 : sizes.connections4, rows);
  EXPECT_EQ(v6() ? sizes.connections4 : sizes.connections6, v6() ? have.connections4 : have.connections6);
  all_go_on("grown");
  is_whole();
}

TEST_P(GrowthOfOneFamilyTest, EventsGoOnBeingTold) {
  settings_.drop_events = true;
  ASSERT_TRUE(programs_->configure(settings_));
  size_t told = 0;
  auto events = FlowEvents::open(programs_->map("events"), [&](const kl_event&) { told++; });
  ASSERT_TRUE(events);
  auto sizes = programs_->sizes();
  sizes.services *= 2;
  sizes.connections4 *= 2;
  EXPECT_EQ(grow_under_load(sizes), std::vector<std::string>{});
  program({{"nobody", service(Protocol::tcp, at().vip, {})}});
  auto client = Socket::tcp(*net_, "pod1", v6());
  client.connect(at().vip, 80);
  pollfd readable{events->fd(), POLLIN, 0};
  EXPECT_EQ(poll(&readable, 1, Socket::kPatience), 1);
  ASSERT_TRUE(events->drain());
  EXPECT_GT(told, 0u);
}

// A process that does nothing but grow is killed, sooner or later after its new maps have shown up.
TEST_P(GrowthOfOneFamilyTest, KilledInTheMidst) {
  open_connections();
  for (int round = 0; round < 8; round++) {
    tables_.reset();
    programs_.reset();
    auto child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto programs = Programs::load({pins_, {}});
      auto sizes = programs ? programs->sizes() : ProgramSizes{};
      for (int times = 0; programs && times < 2; times++) {
        sizes.connections4 *= 2;
        sizes.services += 8;
        auto grower = programs->grower(sizes);
        if (!grower.prepare() || !programs->grow(std::move(grower))) {
          _exit(1);
        }
      }
      _exit(0);
    }
    auto generations = [&] { return std::ranges::distance(fs::directory_iterator(pins_ + "/services")) - 1; };
    for (int i = 0; i < 300'000 && generations() < 2; i++) {
      usleep(100);
    }
    usleep(1000 * round);
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    all_go_on(fmt::format("killed, round {}", round));
    load();
    ASSERT_TRUE(programs_);
    all_go_on(fmt::format("taken over, round {}", round));
    auto tables = Tables::open(programs_->table_maps());
    ASSERT_TRUE(tables);
    tables_.emplace(std::move(*tables));
    EXPECT_TRUE(tables_->adopt(model_, now()).empty());
    is_whole();
    EXPECT_EQ(source_seen("pod1", at().vip, 80, *listener_), host(at().pod1)) << round;
    EXPECT_EQ(source_seen("client", at().external, 80, *listener_), host(at().node)) << round;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GrowthTest, ::testing::Values(false, true),
                         [](const auto& family) { return family.param ? "IPv6" : "IPv4"; });

INSTANTIATE_TEST_SUITE_P(Families, GrowthOfOneFamilyTest, ::testing::Values(false), [](const auto&) { return "IPv4"; });

}  // namespace
}  // namespace keelson::ebpf::testing
