// SPDX-License-Identifier: Apache-2.0
#include "network/preflight/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "ebpf/testing.h"

namespace keelson::network {
namespace {

namespace fs = std::filesystem;
using ebpf::testing::SmallNet;
using ebpf::testing::Socket;

std::set<std::string> entries(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.insert(entry.path().filename());
  }
  return names;
}

class PreflightTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = ebpf::testing::why_not(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    net_.emplace();
    options_.bpf_dir = "/sys/fs/bpf/kl-preflight-" + std::to_string(getpid());
    options_.links.uplinks = {"eth0"};
    options_.ports = {{{"0.0.0.0", 10256}, "health checks"}};
  }
  std::vector<Finding> look() {
    auto guard = net_->enter("node");
    return preflight(options_);
  }
  // "kernel: ok", in their order.
  std::vector<std::string> outcomes() {
    std::vector<std::string> result;
    for (const auto& finding : look()) {
      result.push_back(finding.subject + ": " + std::string(to_string(finding.outcome)));
      told_ += finding.subject + ": " + finding.text + "\n";
      EXPECT_EQ(finding.advice.empty(), finding.outcome == Outcome::ok) << finding.subject << ": " << finding.text;
    }
    return result;
  }

  std::optional<SmallNet> net_;
  PreflightOptions options_;
  std::string told_;
};

TEST_F(PreflightTest, AGoodNodeIsFoundGoodAndLeftAsItWas) {
  auto cgroup = *ebpf::cgroup2_root();
  auto mine = [&](const std::string& folder) {
    auto names = entries(folder);
    std::erase_if(names, [](const auto& name) { return name.find(std::to_string(getpid())) == name.npos; });
    return names;
  };
  EXPECT_THAT(outcomes(), ::testing::ElementsAre("capabilities: ok", "bpffs: ok", "cgroup v2: ok", "kernel: ok",
                                                 "kernel features: ok", "links: ok", "service proxies: ok",
                                                 "packet filters: ok", "port 10256: ok"))
      << told_;
  EXPECT_THAT(told_, ::testing::HasSubstr("takes the programs, at links and at sockets"));
  EXPECT_THAT(told_, ::testing::HasSubstr("uplink eth0, 2 pod links"));
  EXPECT_TRUE(mine("/sys/fs/bpf").empty());
  EXPECT_TRUE(mine(cgroup).empty());
}

TEST_F(PreflightTest, APortIsTriedAtTheAddressThatWouldServe) {
  auto taken = Socket::tcp(*net_, "node");
  taken.bind("10.1.0.1", 11256);
  taken.listen();
  options_.ports = {
      {{"10.1.0.1", 11256}, "health checks"}, {{"fd01::1", 11256}, "metrics"}, {{"10.9.9.9", 1}, "flags"}};
  outcomes();
  EXPECT_THAT(told_, ::testing::HasSubstr("taken (health checks at 10.1.0.1:11256)"));
  EXPECT_THAT(told_, ::testing::HasSubstr("free (metrics at [fd01::1]:11256)"));
  EXPECT_THAT(told_, ::testing::HasSubstr("10.9.9.9:1: Cannot assign"));
}

// What they are passed by for: ServicesTest.FiltersOfForwardedPacketsDoNotSeeWhatGoesToServices.
TEST_F(PreflightTest, PoliciesThatPacketsPassByAreTold) {
  net_->in("node",
           "iptables-nft -N cali-FORWARD && iptables-nft -A FORWARD -j cali-FORWARD && "
           "ip6tables-nft -A FORWARD -s fd01::66 -j DROP && nft add table inet policies && "
           "nft 'add chain inet policies forward { type filter hook forward priority 0; policy drop; }'");
  EXPECT_THAT(outcomes(), ::testing::Contains("packet filters: warning"));
  EXPECT_THAT(told_, ::testing::HasSubstr("packet filters: Calico: chain FORWARD leads to cali-FORWARD; "
                                          "iptables (IPv6): rules of chain FORWARD keep packets back; "
                                          "nftables table inet policies: chain forward may keep packets back"));
  for (const auto& finding : look()) {
    if (finding.subject == "packet filters") {
      EXPECT_THAT(finding.advice, ::testing::HasSubstr("no setting keeps it in the stack"));
    }
  }
}

TEST_F(PreflightTest, WhatIsWrongIsNamed) {
  options_.bpf_dir = "/tmp/keelson";
  options_.socket_cgroup = "/tmp";
  options_.links.uplinks = {"eth0", "eth7"};
  auto taken = Socket::tcp(*net_, "node");
  taken.bind("0.0.0.0", 10256);
  taken.listen();
  options_.kubeconfig = "/nowhere/kubeconfig";
  net_->in("node", "iptables-nft -t nat -N KUBE-SERVICES && iptables-nft -t nat -A KUBE-SERVICES -j RETURN");
  EXPECT_THAT(outcomes(),
              ::testing::ElementsAre("capabilities: ok", "bpffs: failed", "cgroup v2: failed", "kernel: failed",
                                     "kernel features: ok", "links: failed", "service proxies: warning",
                                     "packet filters: ok", "port 10256: warning", "API server: failed"));
  EXPECT_THAT(told_, ::testing::HasSubstr("/tmp/keelson is on no bpffs"));
  EXPECT_THAT(told_, ::testing::HasSubstr("socketCgroup /tmp is no cgroup of version 2"));
  EXPECT_THAT(told_, ::testing::HasSubstr("no link eth7"));
  EXPECT_THAT(told_, ::testing::HasSubstr("taken (health checks at 0.0.0.0:10256)"));
  EXPECT_THAT(told_, ::testing::HasSubstr("kube-proxy (iptables): chain KUBE-SERVICES with 1 rules"));
  EXPECT_THAT(told_, ::testing::HasSubstr("/nowhere/kubeconfig"));
  EXPECT_FALSE(fs::exists("/tmp/keelson"));
}

}  // namespace
}  // namespace keelson::network
