// SPDX-License-Identifier: Apache-2.0
// The evictor on an agent in a small world, and a node that is short of what the test says.
#include "agent/eviction/evictor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/small_world.h"
#include "common/log.h"
#include "common/task_group.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kMiB = 1 << 20;

struct Node : EvictionSources {
  Observations left;
  std::map<std::string, uint64_t> memory;  // by uid
  std::map<std::string, uint64_t> volume;  // the same, of the volume "scratch"
  std::function<void()> on_free_images = [] {};
  int freed = 0;

  Task<Observations> observe() override { co_return left; }
  Task<metrics::NodeUse> measure(bool) override {
    metrics::NodeUse use;
    for (const auto& [uid, bytes] : memory) {
      auto& pod = use.pods.emplace_back();
      pod.place.uid = uid;
      pod.counters.working_set = bytes;
      auto& scratch = pod.volumes.emplace_back();
      scratch.place.name = "scratch";
      scratch.disk.used = volume[uid];
    }
    co_return use;
  }
  Task<> free_images() override {
    ++freed;
    on_free_images();
    co_return Result<>();
  }
};

class EvictorTest : public ::testing::Test {
 protected:
  EvictorTest() {
    log::set_level(log::Level::off);
    world_.changed = [this](const std::string& uid) { agent_.runtime_changed(uid); };
    options_.thresholds = parse_eviction({.hard = {"memory.available<100Mi", "nodefs.available<100Mi"},
                                          .soft = {"memory.available<300Mi"},
                                          .soft_grace = {"memory.available=1m"},
                                          .minimum_reclaim = {}})
                              .value();
    options_.tell = [this](const Pressures& now) { told_.push_back(now); };
    options_.record = [this](const NodeEvent& event) { node_events_.push_back(event.reason + ": " + event.message); };
    memory_left(1000);
    disk_left(1000);
    tasks_.spawn("agent", agent_.run());
    loop_.run_until_idle();
  }
  ~EvictorTest() override {
    tasks_.cancel();
    stopping_.spawn("stop", agent_.stop(false));
    loop_.run_until_idle();
    loop_.run_until_idle();
  }

  void memory_left(int64_t mebibytes) {
    node_.left[EvictionSignal::memory_available] = {.available = mebibytes * kMiB, .capacity = 4000 * kMiB};
  }
  void disk_left(int64_t mebibytes) {
    node_.left[EvictionSignal::nodefs_available] = {.available = mebibytes * kMiB, .capacity = 4000 * kMiB};
  }
  kube::Pod make(const std::string& name, uint64_t memory, int32_t priority = 0) {
    kube::Pod pod;
    pod.metadata.name = name;
    pod.metadata.ns = "default";
    pod.metadata.uid = "uid-" + name;
    pod.spec.priority = priority;
    auto& container = pod.spec.containers.emplace_back();
    container.name = name;
    container.image = "img";
    auto& volume = pod.spec.volumes.emplace_back();
    volume.name = "scratch";
    volume.empty_dir.emplace();
    node_.memory[pod.metadata.uid] = memory * kMiB;
    return pod;
  }
  void want(const std::vector<kube::Pod>& pods) {
    kube::DesiredState state;
    for (const auto& pod : pods) {
      state.pods.emplace(kube::full_name(pod.metadata), pod);
    }
    agent_.desired(std::move(state));
    loop_.advance(clock_, 100ms);
  }
  void start() {
    evictor_.emplace(loop_, agent_, node_, options_);
    tasks_.spawn("evictor", evictor_->run());
    loop_.run_until_idle();
  }
  void pass(Duration time) {
    for (Duration gone{0}; gone < time; gone += 1s) {
      loop_.advance(clock_, 1s);
    }
  }
  kube::PodStatus status(const std::string& name) { return agent_.find_pod("default", name).value().status; }
  bool runs(const std::string& name) { return status(name).phase == kube::PodPhase::running; }
  size_t count(std::string_view call) {
    return static_cast<size_t>(std::ranges::count_if(world_.calls, [&](const auto& c) { return c.starts_with(call); }));
  }

  FakeClock clock_;
  Loop loop_{clock_, "test"};
  SmallWorld world_{loop_};
  Agent agent_{loop_, AgentOptions{.node_name = "n1"}, world_};
  Node node_;
  EvictionOptions options_;
  std::vector<Pressures> told_;
  std::vector<std::string> node_events_;
  std::optional<Evictor> evictor_;
  TaskGroup tasks_{loop_};
  TaskGroup stopping_{loop_};
};

TEST_F(EvictorTest, OnePodGoesAtATimeAndCriticalOnesStay) {
  auto fixed = make("static", 900);
  fixed.metadata.annotations["kubernetes.io/config.source"] = "file";
  want({make("system", 800, 2'000'000'000), fixed, make("small", 10), make("big", 50)});
  start();
  EXPECT_THAT(told_, IsEmpty());
  memory_left(99);
  pass(10s);
  EXPECT_THAT(told_, ElementsAre(Pressures{.memory = true}));
  EXPECT_FALSE(runs("big"));
  EXPECT_TRUE(runs("small")) << "what one has freed is looked at first";
  const auto said = status("big");
  EXPECT_EQ(said.phase, kube::PodPhase::failed);
  EXPECT_EQ(said.reason, "Evicted");
  EXPECT_THAT(said.message,
              HasSubstr("The node was low on resource: memory. Threshold quantity: 100Mi, available: 99Mi."));
  const auto condition = std::ranges::find(said.conditions, "DisruptionTarget", &kube::PodCondition::type);
  ASSERT_NE(condition, said.conditions.end());
  EXPECT_EQ(condition->status, kube::ConditionStatus::true_status);
  EXPECT_EQ(condition->reason, "TerminationByKubelet");
  EXPECT_EQ(condition->message, said.message);
  EXPECT_THAT(node_events_, testing::Contains("EvictionThresholdMet: Attempting to reclaim memory"));
  EXPECT_EQ(count("release"), 1U) << "its volumes take no more room";
  pass(30s);
  EXPECT_FALSE(runs("small"));
  EXPECT_TRUE(runs("system"));
  EXPECT_TRUE(runs("static"));
  Stats stats;
  evictor_->collect(stats);
  EXPECT_EQ(stats.families().at("kubelet_evictions").samples.at(0).value, 2);
}

TEST_F(EvictorTest, ASoftThresholdWaitsForItsGraceAndGivesThePodTime) {
  options_.max_pod_grace = 20s;
  auto slow = make("slow", 10);
  slow.spec.termination_grace_period_seconds = 60;
  want({slow});
  start();
  memory_left(200);
  pass(60s);
  EXPECT_TRUE(runs("slow"));
  EXPECT_THAT(told_, ElementsAre(Pressures{.memory = true}));
  world_.stop_takes = 15s;
  pass(11s);
  EXPECT_TRUE(runs("slow")) << "it has 20 s to end";
  EXPECT_EQ(count("stop_container"), 1U);
  pass(20s);
  EXPECT_EQ(status("slow").reason, "Evicted");
}

TEST_F(EvictorTest, FromADiskDeadContainersAndImagesGoBeforeAnyPod) {
  auto job = make("job", 1);
  job.spec.restart_policy = kube::RestartPolicy::never;
  want({job, make("web", 1)});
  world_.exit_container(world_.running("job"), 0);
  pass(1s);
  ASSERT_EQ(status("job").phase, kube::PodPhase::succeeded);
  const auto before = status("job");
  start();
  disk_left(50);
  node_.on_free_images = [&] {
    EXPECT_EQ(count("remove_container"), 1U) << "an image of a dead container is in use";
    disk_left(500);
  };
  pass(15s);
  EXPECT_EQ(node_.freed, 1);
  EXPECT_TRUE(runs("web")) << "that was enough";
  EXPECT_EQ(world_.containers.size(), 1U);
  auto after = status("job");
  for (auto* said : {&after.conditions}) {
    std::erase_if(*said, [](const auto& c) { return c.type == "PodReadyToStartContainers"; });
  }
  EXPECT_EQ(after.phase, before.phase);
  EXPECT_EQ(after.container_statuses, before.container_statuses) << "how it ended stays known";
  node_.on_free_images = [] {};
  disk_left(50);
  pass(25s);
  EXPECT_FALSE(runs("web")) << "nothing else is left to free";
}

TEST_F(EvictorTest, APodThatWritesMoreThanItMayGoesAtOnceThoughNothingIsShort) {
  auto writer = make("writer", 1);
  writer.spec.volumes[0].empty_dir->size_limit = kube::Quantity::parse("1Mi").value();
  auto modest = writer;
  modest.metadata.name = "modest";
  modest.metadata.uid = "uid-modest";
  node_.memory["uid-modest"] = 0;
  want({writer, modest});
  start();
  node_.volume["uid-writer"] = 2 * kMiB;
  node_.volume["uid-modest"] = kMiB;
  pass(12s);
  EXPECT_EQ(status("writer").reason, "Evicted");
  EXPECT_EQ(status("writer").message, "Usage of EmptyDir volume \"scratch\" exceeds the limit \"1Mi\". ");
  EXPECT_TRUE(std::ranges::none_of(status("writer").conditions, [](const auto& c) {
    return c.type == "DisruptionTarget";
  })) << "it was the pod's own doing";
  EXPECT_TRUE(runs("modest"));
  EXPECT_THAT(told_, IsEmpty());
}

}  // namespace
}  // namespace keelson::agent
