// SPDX-License-Identifier: Apache-2.0
// Programs on links where the kernel has no tcx: filters of clsact, replaced in one step and taken away without a
// trace.
#include <bpf/libbpf.h>
#include <gmock/gmock.h>

#include <array>
#include <cstdio>
#include <memory>

#include "ebpf/hooks.h"
#include "ebpf/service_fixture.h"
#include "ebpf/tc_filters.h"

namespace keelson::ebpf::testing {
namespace {

using dataplane::Protocol;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ClassicTcTest : public ServiceFixture {
 protected:
  ClassicTcTest() { classic_tc_ = true; }

  std::string tc(const std::string& words) const {
    auto inside = net_->enter("node");
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(::popen(("tc " + words + " 2>&1").c_str(), "r"), ::pclose);
    std::string text;
    std::array<char, 4096> part;
    while (size_t size = std::fread(part.data(), 1, part.size(), pipe.get())) {
      text.append(part.data(), size);
    }
    return text;
  }
  uint32_t runs_on(const char* link, TcSide side) const {
    auto inside = net_->enter("node");
    return filter_program(net_->ifindex("node", link), side);
  }
  void end() {
    tables_.reset();
    programs_.reset();
    auto inside = net_->enter("node");
    ASSERT_TRUE(Programs::remove(pins_));
  }
};

TEST_P(ClassicTcTest, ServicesAreRoutedAndTheHooksAreTold) {
  auto local = server("pod2", at().pod2), remote = server("other", at().other);
  auto outside = service(Protocol::tcp, at().external, {at().other});
  outside.frontends[0].uses[static_cast<size_t>(dataplane::From::outside)].masquerade = true;
  program({{"s", service(Protocol::tcp, at().vip, {at().pod2})}, {"o", outside}});
  EXPECT_EQ(source_seen("pod1", at().vip, 80, local), host(at().pod1));
  EXPECT_EQ(source_seen("node", at().vip, 80, local), host(at().node));
  EXPECT_EQ(source_seen("client", at().external, 80, remote), host(at().node));
  auto inside = net_->enter("node");
  auto links = link_hooks(*programs_);
  ASSERT_EQ(links.size(), 3u);
  for (const auto& link : links) {
    EXPECT_THAT(link.hooks, ElementsAre("tc-ingress", "tc-egress")) << link.name;
  }
}

TEST_P(ClassicTcTest, TheNextLoadTakesTheirPlacesUnderAnOpenConnection) {
  auto listener = server("other", at().other);
  program({{"s", service(Protocol::tcp, at().vip, {at().other})}});
  auto client = Socket::tcp(*net_, "pod1", v6());
  ASSERT_EQ(client.connect(at().vip, 80), 0);
  auto accepted = listener.accept();
  ASSERT_TRUE(accepted);
  auto before = runs_on("p1", TcSide::ingress);
  ASSERT_NE(before, 0u);
  tables_.reset();
  programs_.reset();
  ASSERT_EQ(client.send("with nobody"), 0);
  EXPECT_EQ(accepted->receive(), "with nobody");
  load();
  EXPECT_NE(runs_on("p1", TcSide::ingress), before);
  EXPECT_NE(runs_on("p1", TcSide::ingress), 0u);
  EXPECT_THAT(tc("filter show dev p1 ingress"), Not(HasSubstr("pref 2")));
  ASSERT_EQ(client.send("with the next"), 0);
  EXPECT_EQ(accepted->receive(), "with the next");
  EXPECT_TRUE(programs_->adopted());
}

TEST_P(ClassicTcTest, NothingIsLeftButWhatIsOthers) {
  {
    auto inside = net_->enter("node");
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = net_->ifindex("node", "p1"), .attach_point = BPF_TC_EGRESS);
    LIBBPF_OPTS(bpf_tc_opts, others, .prog_fd = programs_->program("node_egress"), .handle = 1, .priority = 7);
    ASSERT_EQ(bpf_tc_attach(&hook, &others), 0);
  }
  EXPECT_THAT(tc("qdisc show dev p2"), HasSubstr("clsact"));
  end();
  EXPECT_EQ(runs_on("p1", TcSide::ingress), 0u);
  EXPECT_EQ(runs_on("p1", TcSide::egress), 0u);
  EXPECT_THAT(tc("filter show dev p1 egress"), HasSubstr("pref 7"));
  for (const char* link : {"eth0", "p2"}) {
    EXPECT_THAT(tc(std::string("qdisc show dev ") + link), Not(HasSubstr("clsact"))) << link;
  }
}

TEST_P(ClassicTcTest, AFilterThatSomebodyTookAwayIsPutBack) {
  tc("qdisc del dev p1 clsact");
  EXPECT_EQ(runs_on("p1", TcSide::ingress), 0u);
  tables_.reset();
  programs_.reset();
  load();
  EXPECT_NE(runs_on("p1", TcSide::ingress), 0u);
  EXPECT_NE(runs_on("p1", TcSide::egress), 0u);
}

INSTANTIATE_TEST_SUITE_P(Families, ClassicTcTest, ::testing::Bool(),
                         [](const auto& info) { return std::string(info.param ? "IPv6" : "IPv4"); });

}  // namespace
}  // namespace keelson::ebpf::testing
