// SPDX-License-Identifier: Apache-2.0
// The agent on a small world and a fake clock: stories, and a simulation by seeds.
#include "agent/agent.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "agent/pod_worker.h"
#include "agent/small_world.h"
#include "common/log.h"
#include "common/task_group.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;

kube::Pod make_pod(const std::string& name, const std::string& uid, std::vector<std::string> mains = {"main"}) {
  kube::Pod pod;
  pod.metadata.name = name;
  pod.metadata.ns = "default";
  pod.metadata.uid = uid;
  for (auto& container : mains) {
    kube::Container c;
    c.name = container;
    c.image = "img";
    c.image_pull_policy = kube::PullPolicy::if_not_present;
    pod.spec.containers.push_back(c);
  }
  return pod;
}

struct Probes : ContainerProbes {
  std::map<std::string, std::function<void(ProbeNews)>> watched;  // by instance id
  std::map<std::string, ProbeState> known;
  void watch(const kube::Pod&, const ObservedContainer& instance, const std::string&, ProbeState state,
             std::function<void(ProbeNews)> news) override {
    watched.try_emplace(instance.id, std::move(news));
    known.try_emplace(instance.id, state);
  }
  void pod_ends(const std::string&) override {}
  void forget(const std::string&, const std::string&) override {}
};

class AgentTest : public ::testing::Test {
 protected:
  AgentTest() { start_agent(); }
  ~AgentTest() override {
    end_agent();
    std::filesystem::remove_all(probe_folder);
  }

  void start_agent() {
    log::set_level(log::Level::off);
    agent = std::make_unique<Agent>(
        loop, AgentOptions{.node_name = "n1", .probe_folder = probe_folder, .node = {.ips = {"192.0.2.1"}}}, world,
        &probes);
    world.changed = [this](const std::string& uid) { agent->runtime_changed(uid); };
    group = std::make_unique<TaskGroup>(loop);
    group->spawn("agent", agent->run());
    loop.run_until_idle();
  }
  /// As kill -9: nothing of the agent's memory survives.
  void end_agent() {
    world.changed = [](const std::string&) {};
    group->spawn("stop", agent->stop(false));
    loop.run_until_idle();
    loop.run_until_idle();
    group.reset();
    agent.reset();
    loop.run_until_idle();
  }
  void want(std::vector<kube::Pod> pods) {
    kube::DesiredState state;
    for (auto& pod : pods) {
      state.pods.emplace(kube::full_name(pod.metadata), pod);
    }
    wanted = state;
    agent->desired(std::move(state));
    loop.advance(clock, 100ms);
  }
  kube::Pod pod(const std::string& name) { return agent->find_pod("default", name).value(); }
  std::vector<std::string> reasons(const std::string& name) {
    std::vector<std::string> found;
    for (const auto& event : agent->events().list("default", name)) {
      found.push_back(event.reason);
    }
    return found;
  }
  size_t count(std::string_view call) {
    return static_cast<size_t>(std::ranges::count_if(world.calls, [&](const auto& c) { return c.starts_with(call); }));
  }

  std::string probe_folder = ::testing::TempDir() + "keelson-probes-" + std::to_string(::getpid());
  FakeClock clock;
  Loop loop{clock, "test"};
  SmallWorld world{loop};
  Probes probes;
  kube::DesiredState wanted;
  std::unique_ptr<Agent> agent;
  std::unique_ptr<TaskGroup> group;
};

TEST_F(AgentTest, APodThatWaitedForItsNameStartsOnceThoughTheOwnerAsksForItAtTheOldOnesEnd) {
  want({make_pod("web", "u1")});
  agent->on_status([this](const kube::Pod&, bool gone) {
    if (gone) {
      agent->desired(wanted);
    }
  });
  want({make_pod("web", "u2")});
  loop.advance(clock, 60s);
  EXPECT_EQ(count("create_sandbox"), 2U);
  want({});
  loop.advance(clock, 60s);
  EXPECT_TRUE(world.sandboxes.empty()) << "a second worker of the name would have been left";
}

TEST_F(AgentTest, APodStartsAndIsReady) {
  want({make_pod("web", "u1")});
  EXPECT_TRUE(is_ready(pod("web").status));
  EXPECT_EQ(pod("web").spec.node_name, "n1");
  EXPECT_EQ(reasons("web"), (std::vector<std::string>{"Pulling", "Pulled", "Created", "Started"}));
  auto timeline = agent->find_timeline("default", "web").value();
  Duration sum{0};
  for (const auto& span : timeline.spans()) {
    sum += span.length;
  }
  EXPECT_EQ(sum, timeline.total());
}

Task<> leave_when(std::shared_ptr<asio::steady_timer> allowed) {
  co_await allowed->async_wait(use_result);
  co_return Result<>();
}

TEST_F(AgentTest, APodLeavesServicesBeforeItIsTold) {
  auto allowed = std::make_shared<asio::steady_timer>(loop.io(), asio::steady_timer::time_point::max());
  std::vector<std::string> left;
  agent->set_leave_services([&](const kube::Pod& pod) {
    left.push_back(pod.metadata.name);
    return leave_when(allowed);
  });
  want({make_pod("web", "u1", {"one", "two"}), make_pod("db", "u2")});
  EXPECT_TRUE(left.empty());
  want({make_pod("db", "u2")});
  loop.advance(clock, 1s);
  EXPECT_EQ(left, std::vector<std::string>{"web"});
  EXPECT_EQ(count("stop_container"), 0U);
  allowed->cancel();
  loop.advance(clock, 100ms);
  EXPECT_EQ(count("stop_container"), 2U);
  EXPECT_FALSE(agent->find_pod("default", "web"));
  EXPECT_EQ(left.size(), 1U);
  // What never answers holds a pod's end up for 2 s.
  want({});
  loop.advance(clock, 1s);
  EXPECT_EQ(count("stop_container"), 2U);
  loop.advance(clock, 1s);
  EXPECT_EQ(count("stop_container"), 3U);
}

TEST_F(AgentTest, CrashesBackOffTenTwentyForty) {
  world.exits_with["main"] = 3;
  want({make_pod("web", "u1")});
  EXPECT_EQ(count("start_container"), 2U);  // the first restart is at once
  loop.advance(clock, 9s);
  EXPECT_EQ(count("start_container"), 2U);
  EXPECT_EQ(pod("web").status.container_statuses[0].state.waiting->reason, "CrashLoopBackOff");
  loop.advance(clock, 1s);
  EXPECT_EQ(count("start_container"), 3U);
  loop.advance(clock, 19s);
  EXPECT_EQ(count("start_container"), 3U);
  loop.advance(clock, 1s);
  EXPECT_EQ(count("start_container"), 4U);
  EXPECT_EQ(pod("web").status.container_statuses[0].restart_count, 3);
  auto events = reasons("web");
  EXPECT_NE(std::ranges::find(events, "BackOff"), events.end());
}

TEST_F(AgentTest, BackOffSurvivesANewAgent) {
  world.exits_with["main"] = 3;
  want({make_pod("web", "u1")});
  loop.advance(clock, 11s);  // the next restart is due 20 s after the third end
  end_agent();
  start_agent();
  agent->desired(wanted);
  loop.advance(clock, 10s);
  EXPECT_EQ(count("start_container"), 3U);
  loop.advance(clock, 10s);
  EXPECT_EQ(count("start_container"), 4U);
}

TEST_F(AgentTest, ANewAgentAdoptsAndRestartsNothing) {
  want({make_pod("web", "u1"), make_pod("db", "u2")});
  end_agent();
  size_t before = world.calls.size();
  start_agent();
  agent->desired(wanted);
  loop.advance(clock, 1s);
  EXPECT_TRUE(is_ready(pod("web").status));
  for (size_t i = before; i < world.calls.size(); ++i) {
    EXPECT_TRUE(world.calls[i] == "observe" || world.calls[i] == "prepare" || world.calls[i] == "list_pods")
        << world.calls[i];
  }
}

TEST_F(AgentTest, AnOrphanIsRemovedOnceTheSourceHasSpoken) {
  want({make_pod("web", "u1")});
  end_agent();
  start_agent();
  loop.advance(clock, 5s);
  EXPECT_EQ(world.sandboxes.size(), 1U);
  want({});
  EXPECT_TRUE(world.sandboxes.empty());
  EXPECT_TRUE(world.prepared.empty());
}

TEST_F(AgentTest, ARemovedPodGetsItsGraceAndLeavesNothing) {
  world.stop_takes = 5s;
  want({make_pod("web", "u1")});
  want({});
  EXPECT_EQ(count("stop_container main 30"), 1U);
  EXPECT_EQ(world.sandboxes.size(), 1U);
  loop.advance(clock, 5s);
  EXPECT_TRUE(world.sandboxes.empty());
  EXPECT_TRUE(world.containers.empty());
  EXPECT_TRUE(world.prepared.empty());
  EXPECT_TRUE(agent->pods().empty());
}

TEST_F(AgentTest, AnEditedPodWaitsForTheEndOfTheOldOne) {
  world.stop_takes = 5s;
  want({make_pod("web", "u1")});
  want({make_pod("web", "u2")});
  EXPECT_EQ(pod("web").metadata.uid, "u1");
  loop.advance(clock, 6s);
  EXPECT_EQ(pod("web").metadata.uid, "u2");
  EXPECT_TRUE(is_ready(pod("web").status));
  EXPECT_EQ(world.sandboxes.size(), 1U);
}

TEST_F(AgentTest, AHungPodHurtsNoOther) {
  world.hung.insert("u1");
  want({make_pod("hung", "u1"), make_pod("web", "u2")});
  EXPECT_TRUE(is_ready(pod("web").status));
  world.exit_container(world.running("main"), 1);
  loop.advance(clock, 100ms);
  EXPECT_EQ(pod("web").status.container_statuses[0].restart_count, 1);
}

TEST_F(AgentTest, ARemovalCutsAHungStartShort) {
  world.hung.insert("u1");
  want({make_pod("hung", "u1")});
  world.hung.clear();
  want({});
  loop.advance(clock, 61s);
  EXPECT_TRUE(agent->pods().empty());
}

TEST_F(AgentTest, ALivenessFailureKillsAndRestarts) {
  auto pod_spec = make_pod("web", "u1");
  pod_spec.spec.containers[0].liveness_probe.emplace();
  want({pod_spec});
  auto id = world.running("main");
  ASSERT_TRUE(probes.watched.contains(id));
  probes.watched[id]({.kind = ProbeKind::liveness,
                      .name = "main",
                      .id = id,
                      .decided = true,
                      .success = false,
                      .message = "HTTP probe failed with statuscode: 500"});
  loop.advance(clock, 100ms);
  EXPECT_EQ(pod("web").status.container_statuses[0].restart_count, 1);
  std::string messages;
  for (const auto& event : agent->events().list("default", "web")) {
    messages += event.reason + ": " + event.message + "\n";
  }
  EXPECT_NE(messages.find("Unhealthy: Liveness probe failed: HTTP probe failed with statuscode: 500"),
            std::string::npos);
  EXPECT_NE(messages.find("Killing: Container main failed liveness probe, will be restarted"), std::string::npos);
}

TEST_F(AgentTest, ReadinessFollowsItsProbeAndStartupGates) {
  auto pod_spec = make_pod("web", "u1");
  pod_spec.spec.containers[0].readiness_probe.emplace();
  pod_spec.spec.containers[0].startup_probe.emplace();
  want({pod_spec});
  auto id = world.running("main");
  EXPECT_FALSE(is_ready(pod("web").status));
  EXPECT_EQ(pod("web").status.container_statuses[0].started, false);
  probes.watched[id]({.kind = ProbeKind::startup, .name = "main", .id = id, .decided = true, .success = true});
  loop.run_until_idle();
  EXPECT_EQ(pod("web").status.container_statuses[0].started, true);
  EXPECT_FALSE(is_ready(pod("web").status));
  probes.watched[id]({.kind = ProbeKind::readiness, .name = "main", .id = id, .decided = true, .success = true});
  loop.run_until_idle();
  EXPECT_TRUE(is_ready(pod("web").status));
}

TEST_F(AgentTest, ARestartMakesNobodyUnready) {
  auto pod_spec = make_pod("web", "u1");
  pod_spec.spec.containers[0].readiness_probe.emplace();
  pod_spec.spec.containers[0].startup_probe.emplace();
  want({pod_spec});
  auto id = world.running("main");
  for (auto kind : {ProbeKind::startup, ProbeKind::readiness}) {
    probes.watched[id]({.kind = kind, .name = "main", .id = id, .decided = true, .success = true});
  }
  loop.run_until_idle();
  ASSERT_TRUE(is_ready(pod("web").status));
  end_agent();
  probes = Probes();
  start_agent();
  std::vector<bool> ready;
  agent->on_status([&](const kube::Pod& told, bool) { ready.push_back(is_ready(told.status)); });
  want({pod_spec});
  EXPECT_TRUE(is_ready(pod("web").status));
  EXPECT_EQ(std::ranges::count(ready, false), 0) << "not for a moment";
  EXPECT_EQ(probes.known[id], (ProbeState{.started = true, .ready = true})) << "the probes go on from there";
  probes.watched[id]({.kind = ProbeKind::readiness, .name = "main", .id = id, .decided = true, .success = false});
  loop.run_until_idle();
  EXPECT_FALSE(is_ready(pod("web").status));
  world.exit_container(id, 1);
  loop.advance(clock, 15s);
  ASSERT_NE(world.running("main"), id);
  EXPECT_FALSE(is_ready(pod("web").status)) << "a new instance is as new";
  EXPECT_FALSE(std::filesystem::exists(probe_folder + "/" + id));
  want({});
  loop.advance(clock, 60s);
  EXPECT_TRUE(std::filesystem::is_empty(probe_folder)) << "nothing is left of a pod that has gone";
}

TEST_F(AgentTest, AMissingImageBacksOff) {
  auto pod_spec = make_pod("web", "u1");
  pod_spec.spec.containers[0].image = "missing";
  want({pod_spec});
  EXPECT_EQ(count("pull_image"), 1U);
  EXPECT_TRUE(pod("web").status.container_statuses[0].state.waiting->reason == "ErrImagePull");
  loop.advance(clock, 10s);
  EXPECT_EQ(count("pull_image"), 2U);
  loop.advance(clock, 19s);
  EXPECT_EQ(count("pull_image"), 2U);
  EXPECT_EQ(pod("web").status.container_statuses[0].state.waiting->reason, "ImagePullBackOff");
  loop.advance(clock, 1s);
  EXPECT_EQ(count("pull_image"), 3U);
}

TEST_F(AgentTest, HooksRunAtTheirTimes) {
  auto pod_spec = make_pod("web", "u1");
  kube::Lifecycle hooks;
  hooks.post_start.emplace().exec = kube::ExecAction{{"hello"}};
  hooks.pre_stop.emplace().sleep = kube::SleepAction{10};
  pod_spec.spec.containers[0].lifecycle = hooks;
  want({pod_spec});
  EXPECT_EQ(count("exec hello"), 1U);
  want({});
  EXPECT_EQ(count("stop_container"), 0U);
  loop.advance(clock, 11s);
  EXPECT_EQ(count("stop_container main 20"), 1U);
}

kube::Pod deleted(kube::Pod pod, int64_t grace) {
  pod.metadata.deletion_timestamp = WallTime(1s);
  pod.metadata.deletion_grace_period_seconds = grace;
  return pod;
}

TEST_F(AgentTest, ADeletedPodEndsWithinTheGraceOfItsDeletion) {
  world.stop_takes = 50s;
  want({make_pod("web", "u1")});
  std::vector<kube::PodStatus> told;
  bool gone = false;
  agent->on_status([&](const kube::Pod& pod, bool ended) {
    told.push_back(pod.status);
    gone = gone || ended;
  });
  want({deleted(make_pod("web", "u1"), 60)});
  EXPECT_EQ(count("stop_container main 60"), 1U);
  want({deleted(make_pod("web", "u1"), 60)});
  want({deleted(make_pod("web", "u1"), 90)});
  EXPECT_EQ(count("stop_container main"), 1U) << "said again, or longer: nothing new";
  want({deleted(make_pod("web", "u1"), 2)});
  EXPECT_EQ(count("stop_container main"), 2U) << "a shorter grace cuts it short";
  EXPECT_FALSE(gone);
  loop.advance(clock, 51s);
  ASSERT_TRUE(gone);
  EXPECT_TRUE(world.sandboxes.empty());
  EXPECT_TRUE(world.prepared.empty());
  const auto& last = told.back();
  EXPECT_EQ(last.phase, kube::PodPhase::failed);
  ASSERT_EQ(last.container_statuses.size(), 1U);
  ASSERT_TRUE(last.container_statuses[0].state.terminated) << "what is said of its end outlives the container";
  EXPECT_EQ(last.container_statuses[0].state.terminated->exit_code, 137);
}

TEST_F(AgentTest, ADeletedPodOfWhichNothingIsLeftIsSaidToHaveEnded) {
  auto pod_spec = deleted(make_pod("web", "u1"), 30);
  pod_spec.status.phase = kube::PodPhase::running;
  kube::ContainerStatus container;
  container.name = "main";
  container.restart_count = 4;
  container.state.running = kube::ContainerRunning{};
  pod_spec.status.container_statuses = {container};
  std::optional<kube::PodStatus> told;
  bool gone = false;
  agent->on_status([&](const kube::Pod& pod, bool ended) {
    told = pod.status;
    gone = ended;
  });
  want({pod_spec});
  ASSERT_TRUE(gone);
  EXPECT_EQ(count("create_sandbox"), 0U);
  EXPECT_EQ(told->phase, kube::PodPhase::failed);
  EXPECT_EQ(told->container_statuses.at(0).restart_count, 4);
  EXPECT_EQ(told->container_statuses.at(0).state.terminated->reason, "ContainerStatusUnknown");
}

TEST_F(AgentTest, AnIncompleteStateRemovesNothing) {
  want({make_pod("web", "u1"), make_pod("db", "u2")});
  end_agent();
  start_agent();
  kube::DesiredState some;
  some.complete = false;
  some.pods.emplace("default/db", make_pod("db", "u3"));
  agent->desired(some);
  loop.advance(clock, 100s);
  EXPECT_EQ(world.sandboxes.size(), 2U) << "web is not known to be unwanted";
  EXPECT_EQ(pod("db").metadata.uid, "u3") << "the old one of its name made way";
  EXPECT_FALSE(agent->find_pod("default", "web"));
  some.pods.emplace("default/web", make_pod("web", "u1"));
  agent->desired(some);
  loop.advance(clock, 1s);
  EXPECT_TRUE(is_ready(pod("web").status));
  EXPECT_EQ(count("create_sandbox"), 3U) << "it was adopted";
  some.pods.erase("default/web");
  agent->desired(some);
  loop.advance(clock, 100s);
  EXPECT_TRUE(is_ready(pod("web").status));
  want({make_pod("db", "u3")});
  loop.advance(clock, 100s);
  EXPECT_EQ(world.sandboxes.size(), 1U);
  EXPECT_EQ(agent->pods().size(), 1U);
}

TEST_F(AgentTest, TheOldPodOfANameMakesWayThoughTheNameIsWantedLaterThanTheFirstState) {
  want({make_pod("db", "u2")});
  end_agent();
  start_agent();
  kube::DesiredState some;
  some.complete = false;
  agent->desired(some);
  loop.advance(clock, 1s);
  world.stop_takes = 20s;
  some.pods.emplace("default/db", make_pod("db", "u3"));
  agent->desired(some);
  loop.advance(clock, 5s);
  EXPECT_EQ(count("create_sandbox"), 1U) << "both would run at the same time";
  loop.advance(clock, 60s);
  EXPECT_EQ(count("create_sandbox"), 2U);
  EXPECT_EQ(world.sandboxes.size(), 1U);
}

TEST_F(AgentTest, AnOrphanGoesWhenTheStateIsComplete) {
  want({make_pod("web", "u1")});
  end_agent();
  start_agent();
  kube::DesiredState nothing;
  nothing.complete = false;
  agent->desired(nothing);
  loop.advance(clock, 100s);
  EXPECT_EQ(world.sandboxes.size(), 1U);
  want({});
  EXPECT_TRUE(world.sandboxes.empty());
  EXPECT_TRUE(world.prepared.empty());
}

TEST_F(AgentTest, APodThatHasEndedIsNotStarted) {
  auto pod_spec = make_pod("job", "u1");
  pod_spec.status.phase = kube::PodPhase::succeeded;
  pod_spec.status.reason = "Completed";
  pod_spec.status.start_time = WallTime(100s);
  kube::ContainerStatus container;
  container.name = "main";
  container.state.terminated = kube::ContainerTerminated{.reason = "Completed"};
  pod_spec.status.container_statuses = {container};
  want({pod_spec});
  EXPECT_EQ(count("create_sandbox"), 0U);
  EXPECT_EQ(pod("job").status.phase, kube::PodPhase::succeeded);
  EXPECT_EQ(pod("job").status.start_time, WallTime(100s));
  EXPECT_EQ(pod("job").status.container_statuses, pod_spec.status.container_statuses);
}

TEST_F(AgentTest, ConditionsOfOthersComeFromTheSource) {
  auto pod_spec = make_pod("web", "u1");
  pod_spec.spec.readiness_gates = {"example.com/gate"};
  want({pod_spec});
  EXPECT_FALSE(is_ready(pod("web").status));
  kube::PodCondition gate;
  gate.type = "example.com/gate";
  gate.status = kube::ConditionStatus::true_status;
  pod_spec.status.conditions = {gate};
  want({pod_spec});
  EXPECT_TRUE(is_ready(pod("web").status));
  pod_spec.status.conditions.clear();
  want({pod_spec});
  EXPECT_FALSE(is_ready(pod("web").status));
}

TEST_F(AgentTest, AFailedMountIsTriedAtOnceWhenObjectsCome) {
  bool there = false;
  world.before_call = [&](std::string_view call) -> Result<> {
    return call == "prepare" && !there ? fail(Kind::not_found, "configmap \"c\" not found") : Result<>();
  };
  want({make_pod("web", "u1")});
  loop.advance(clock, 60s);
  const size_t tried = count("prepare");
  want({make_pod("web", "u1")});
  EXPECT_EQ(count("prepare"), tried) << "nothing came";
  there = true;
  auto state = wanted;
  state.config_maps["default/c"].data["k"] = "v";
  agent->desired(state);
  loop.advance(clock, 100ms);
  EXPECT_TRUE(is_ready(pod("web").status));
}

TEST_F(AgentTest, StopWithRemovalTakesEverything) {
  want({make_pod("web", "u1"), make_pod("db", "u2")});
  world.stop_takes = 3s;
  Result<> outcome = fail(Kind::internal, "not ended");
  auto stop = [](Agent& a, Result<>& out) -> Task<> {
    out = co_await a.stop(true);
    co_return Result<>();
  };
  group->spawn("stop", stop(*agent, outcome));
  loop.advance(clock, 4s);
  EXPECT_TRUE(outcome.has_value());
  EXPECT_TRUE(world.sandboxes.empty());
}

/// Random additions, edits, removals, exits, lost sandboxes, failing calls and deaths of the agent; then quiet.
class Simulation : public AgentTest, public ::testing::WithParamInterface<unsigned> {};

TEST_P(Simulation, AlwaysConvergesToTheManifests) {
  std::mt19937 random(GetParam());
  auto roll = [&](unsigned sides) { return static_cast<unsigned>(random() % sides); };
  unsigned fail_one_in = 0;
  world.before_call = [&](std::string_view call) -> Result<> {
    if (fail_one_in != 0 && roll(fail_one_in) == 0) {
      return fail(Kind::unavailable, "{}: a fault was asked for", call);
    }
    return {};
  };
  std::map<std::string, kube::Pod> manifests;
  auto apply = [&] {
    std::vector<kube::Pod> pods;
    for (auto& [name, p] : manifests) {
      pods.push_back(p);
    }
    want(pods);
  };
  for (int step = 0; step < 400; ++step) {
    auto name = fmt::format("p{}", roll(4));
    switch (roll(8)) {
      case 0:
      case 1: {
        auto p = make_pod(name, fmt::format("{}-{}", name, step),
                          roll(2) == 0 ? std::vector<std::string>{"main"} : std::vector<std::string>{"main", "two"});
        if (roll(3) == 0) {
          kube::Container side;
          side.name = "side";
          side.image = "img";
          side.restart_policy = kube::RestartPolicy::always;
          p.spec.init_containers.push_back(side);
        }
        manifests[name] = p;
        apply();
        break;
      }
      case 2:
        manifests.erase(name);
        apply();
        break;
      case 3:
        if (auto id = world.running("main"); !id.empty()) {
          world.exit_container(id, static_cast<int>(roll(2)));
        }
        break;
      case 4:
        if (!world.sandboxes.empty()) {
          world.lose_sandbox(
              std::next(world.sandboxes.begin(), roll(static_cast<unsigned>(world.sandboxes.size())))->first);
        }
        break;
      case 5:
        fail_one_in = roll(2) == 0 ? 0 : 3;
        break;
      case 6:
        end_agent();
        start_agent();
        apply();
        break;
      default:
        loop.advance(clock, std::chrono::milliseconds(roll(20000)));
    }
    loop.run_until_idle();
  }
  fail_one_in = 0;
  loop.advance(clock, 20min);
  ASSERT_EQ(agent->pods().size(), manifests.size()) << "seed " << GetParam();
  std::set<std::string> uids;
  for (const auto& [name, p] : manifests) {
    EXPECT_EQ(pod(name).metadata.uid, p.metadata.uid) << "seed " << GetParam();
    EXPECT_TRUE(is_ready(pod(name).status)) << name << " seed " << GetParam();
    uids.insert(p.metadata.uid);
  }
  EXPECT_EQ(world.prepared, uids) << "seed " << GetParam();
  for (const auto& [id, sandbox] : world.sandboxes) {
    EXPECT_TRUE(uids.contains(sandbox.pod.uid)) << "seed " << GetParam();
  }
  size_t running = 0;
  size_t wanted_running = 0;
  for (const auto& [id, c] : world.containers) {
    running += c.state == RunState::running ? 1 : 0;
  }
  for (const auto& [name, p] : manifests) {
    wanted_running += p.spec.containers.size() + p.spec.init_containers.size();
  }
  EXPECT_EQ(running, wanted_running) << "seed " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Seeds, Simulation, ::testing::Range(0U, 20U));

}  // namespace
}  // namespace keelson::agent
