// SPDX-License-Identifier: Apache-2.0
// Connections through services while the daemon is killed, restarted, and replaced by another version and back. Short
// here; `./dev upgrade` runs it with 10,000 open connections and 1,000 new ones a second for 20 rounds.
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "common/fd.h"
#include "ebpf/bpf/abi.h"
#include "ebpf/programs.h"
#include "tests/e2e/service_node.h"
#include "tests/support/connection_load.h"

namespace keelson::testing {
namespace {

size_t number(const char* variable, size_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoul(text, nullptr, 10) : otherwise;
}

/// How far one daemon has come with what another has left (ebpf/LAYOUT.md).
enum class Step { none, made, complete, leads, done };

class UpgradeTest : public ServiceNode {
 protected:
  void SetUp() override {
    ServiceNode::SetUp();
    if (!daemon_) {
      return;
    }
    auto both = slice("10.2.0.2", "here");
    both.insert(both.rfind(']'), ", {addresses: [10.3.0.1], nodeName: elsewhere}");
    daemon_->apply("slice.yaml", both);
    daemon_->wait_for(NetworkDaemon::kRouted, 2);
    local_.emplace(*net_, "pod2", "10.2.0.2", 8080, daemon_->home());
    remote_.emplace(*net_, "other", "10.3.0.1", 8080, daemon_->home());
  }
  void TearDown() override {
    if (daemon_) {
      daemon_->kill();
      EXPECT_TRUE(ebpf::Programs::remove(daemon_->pins()));
    }
    ServiceNode::TearDown();
  }

  /// `percent` of all connections.
  ConnectionLoad load(const std::string& ns, size_t percent, const std::string& to, const std::string& cgroup = "") {
    LoadSize size{number("KEELSON_UPGRADE_OPEN", 1000) * percent / 100,
                  number("KEELSON_UPGRADE_RATE", 100) * percent / 100};
    // So few ports that those of an ended connection are soon used again, and enough for a machine that is busy.
    net_->in(ns,
             fmt::format("echo 32000 {} > /proc/sys/net/ipv4/ip_local_port_range", 32200 + size.open + 10 * size.rate));
    return {*net_, ns, size, to, daemon_->home(), cgroup};
  }
  void start(const std::string& binary) {
    daemon_->use(binary);
    daemon_->start();
  }

  /// Generations that are pinned, newest first.
  std::vector<uint32_t> generations() const {
    std::vector<uint32_t> result;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(daemon_->pins() + "/services", ignored)) {
      if (auto number = std::strtoul(entry.path().filename().c_str(), nullptr, 10)) {
        result.push_back(static_cast<uint32_t>(number));
      }
    }
    std::ranges::sort(result, std::greater<>());
    return result;
  }
  Step step_after(uint32_t generation) const {
    auto all = generations();
    if (all.empty() || all[0] <= generation) {
      return Step::none;
    }
    auto newest = daemon_->pins() + "/services/" + std::to_string(all[0]);
    if (!fs::exists(newest + "/layout")) {
      return Step::made;
    }
    Fd map(bpf_obj_get((newest + "/maps/transition").c_str()));
    kl_transition row{};
    uint32_t key = 0;
    if (!map || bpf_map_lookup_elem(map.get(), &key, &row) != 0 || row.phase == KL_PHASE_ALONE) {
      return Step::done;
    }
    return row.phase == KL_PHASE_LEAD ? Step::leads : Step::complete;
  }
  /// Starts a daemon of this build and kills it when it has come so far. False: it was quicker.
  bool killed_at(Step wanted, const std::string& binary) {
    auto before = generations().at(0);
    daemon_->use(binary);
    daemon_->launch();
    while (daemon_->alive() && step_after(before) < wanted) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    daemon_->kill();
    return step_after(before) == wanted;
  }

  const std::string ours_ = std::string(std::getenv("KEELSON_BIN")) + "/keelson";
  const std::string theirs_ = fs::path(std::getenv("KEELSON_BIN")).parent_path() / "test" / "keelson-next";
  std::optional<ConnectionServer> local_, remote_;
};

TEST_F(UpgradeTest, NoConnectionIsLost) {
  auto pod = load("pod1", 40, "10.96.0.1 80");
  auto outside = load("client", 40, "10.1.0.1 30080");
  // Not of the pod that the first is of: at the endpoint two of its connections could have the same ports, one
  // translated at the socket and the other on its way.
  auto sockets = load("node", 20, "10.96.0.1 80", daemon_->cgroup());
  const auto rounds = number("KEELSON_UPGRADE_ROUNDS", 2);
  for (size_t round = 0; round < rounds && !HasFatalFailure(); round++) {
    daemon_->kill();
    start(ours_);
    daemon_->stop();
    start(theirs_);
    daemon_->kill();
    start(theirs_);
    daemon_->stop();
    start(ours_);
  }
  EXPECT_EQ(pod.end(), "");
  EXPECT_EQ(outside.end(), "");
  EXPECT_EQ(sockets.end(), "");
}

// At each step of taking over, by the other version and, with what it has left there, by its own.
TEST_F(UpgradeTest, KilledWhileItTakesOver) {
  auto pod = load("pod1", 50, "10.96.0.1 80");
  auto outside = load("client", 50, "10.1.0.1 30080");
  for (auto step : {Step::made, Step::complete, Step::leads, Step::leads}) {
    bool hit = false;
    for (int i = 0; i < 60 && !hit; i++) {
      hit = killed_at(step, i % 2 ? ours_ : theirs_);
    }
    EXPECT_TRUE(hit) << static_cast<int>(step);
  }
  start(ours_);
  EXPECT_EQ(generations().size(), 1U);
  EXPECT_EQ(pod.end(), "");
  EXPECT_EQ(outside.end(), "");
}

}  // namespace
}  // namespace keelson::testing
