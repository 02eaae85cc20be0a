// SPDX-License-Identifier: Apache-2.0
// A node that goes down, on a small world and a fake clock.
#include "agent/shutdown/node_shutdown.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "agent/small_world.h"
#include "common/log.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

class NodeShutdownTest : public ::testing::Test {
 protected:
  NodeShutdownTest() {
    log::set_level(log::Level::off);
    world_.changed = [this](const std::string& uid) { agent_.runtime_changed(uid); };
    options_.periods = shutdown_periods(30s, 10s);
    options_.state_file = ::testing::TempDir() + "keelson-shutdown-" + std::to_string(::getpid());
    options_.tell = [this](bool now) { said_.emplace_back(now ? "going down" : "stays"); };
    options_.done = [this] { said_.emplace_back("done"); };
    options_.record = [this](const NodeEvent& event) { said_.push_back(event.reason + ": " + event.message); };
    tasks_.spawn("agent", agent_.run());
    loop_.run_until_idle();
    shutdown_.emplace(loop_, agent_, options_);
  }
  ~NodeShutdownTest() override {
    stopping_.spawn("close", shutdown_->close());
    tasks_.cancel();
    stopping_.spawn("stop", agent_.stop(false));
    loop_.run_until_idle();
    loop_.run_until_idle();
    std::filesystem::remove(options_.state_file);
  }

  void want(const std::vector<std::pair<std::string, int32_t>>& pods, int64_t grace = 60) {
    kube::DesiredState state;
    for (const auto& [name, priority] : pods) {
      kube::Pod pod;
      pod.metadata.name = name;
      pod.metadata.ns = "default";
      pod.metadata.uid = "uid-" + name;
      pod.spec.priority = priority;
      pod.spec.termination_grace_period_seconds = grace;
      auto& container = pod.spec.containers.emplace_back();
      container.name = name;
      container.image = "img";
      state.pods.emplace("default/" + name, std::move(pod));
    }
    agent_.desired(std::move(state));
    pass(1s);
  }
  void pass(Duration time) {
    for (Duration gone{0}; gone < time; gone += 1s) {
      loop_.advance(clock_, 1s);
    }
  }
  kube::PodStatus status(const std::string& name) { return agent_.find_pod("default", name).value().status; }
  bool runs(const std::string& name) { return status(name).phase == kube::PodPhase::running; }
  std::map<std::string, double> metrics() const {
    Stats stats;
    shutdown_->collect(stats);
    std::map<std::string, double> found;
    for (const auto& [name, family] : stats.families()) {
      found[name] = family.samples.at(0).value;
    }
    return found;
  }

  FakeClock clock_;
  Loop loop_{clock_, "test"};
  SmallWorld world_{loop_};
  Agent agent_{loop_, AgentOptions{.node_name = "n1"}, world_};
  ShutdownOptions options_;
  std::vector<std::string> said_;
  std::optional<NodeShutdown> shutdown_;
  TaskGroup tasks_{loop_};
  TaskGroup stopping_{loop_};
};

TEST_F(NodeShutdownTest, CriticalPodsEndAfterTheOthersAndThenTheMachineMayGo) {
  want({{"plain", 0}, {"critical", 2'000'000'000}});
  world_.stop_takes = 5s;
  EXPECT_TRUE(metrics().empty()) << "it never went down";
  shutdown_->going_down(true);
  pass(4s);
  EXPECT_TRUE(runs("critical"));
  EXPECT_EQ(said_.size(), 2U);
  EXPECT_EQ(metrics().at("kubelet_graceful_shutdown_end_time_seconds"), 0);
  pass(3s);
  EXPECT_FALSE(runs("plain"));
  EXPECT_TRUE(runs("critical"));
  pass(5s);
  EXPECT_FALSE(runs("critical"));
  EXPECT_THAT(said_, ElementsAre("NodeShutdown: Shutdown manager detected shutdown event", "going down", "done"));
  const auto said = status("plain");
  EXPECT_EQ(said.phase, kube::PodPhase::failed);
  EXPECT_EQ(said.reason, "Terminated");
  EXPECT_EQ(said.message, "Pod was terminated in response to imminent node shutdown.");
  const auto condition = std::ranges::find(said.conditions, "DisruptionTarget", &kube::PodCondition::type);
  ASSERT_NE(condition, said.conditions.end());
  EXPECT_EQ(condition->reason, "TerminationByKubelet");
  const auto times = metrics();
  EXPECT_GE(times.at("kubelet_graceful_shutdown_end_time_seconds"),
            times.at("kubelet_graceful_shutdown_start_time_seconds") + 10);
  const NodeShutdown after_boot(loop_, agent_, options_);
  Stats stats;
  after_boot.collect(stats);
  EXPECT_EQ(stats.families().at("kubelet_graceful_shutdown_end_time_seconds").samples.at(0).value,
            times.at("kubelet_graceful_shutdown_end_time_seconds"));
}

TEST_F(NodeShutdownTest, APodThatDoesNotEndCostsItsGroupsTimeAndNoMore) {
  want({{"plain", 0}, {"critical", 2'000'000'000}});
  world_.hung.insert("uid-plain");
  shutdown_->going_down(true);
  pass(19s);
  EXPECT_TRUE(runs("critical"));
  pass(4s);
  EXPECT_FALSE(runs("critical"));
  EXPECT_EQ(said_.back(), "done");
}

TEST_F(NodeShutdownTest, AShutdownThatIsCalledOffIsTold) {
  shutdown_->going_down(true);
  pass(1s);
  shutdown_->going_down(false);
  EXPECT_THAT(said_, ElementsAre("NodeShutdown: Shutdown manager detected shutdown event", "going down", "done",
                                 "NodeShutdown: Shutdown manager detected shutdown cancellation", "stays"));
}

}  // namespace
}  // namespace keelson::agent
