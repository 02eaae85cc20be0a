// SPDX-License-Identifier: Apache-2.0
// Which pods run: what sources say, what they no longer say, and what an earlier agent has left.
#include "agent/agent_fixture.h"

namespace keelson::agent::testing {
namespace {

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

/// The pod with one more container to look into it, that may mount a volume.
kube::Pod with_ephemeral(kube::Pod pod, const std::string& name, const std::string& volume = "") {
  kube::Container container = make_pod("", "", {name}).spec.containers[0];
  if (!volume.empty()) {
    container.volume_mounts.push_back({.name = volume, .mount_path = "/look"});
  }
  pod.spec.ephemeral_containers.push_back({.container = std::move(container), .target_container_name = {}});
  return pod;
}

kube::Pod with_empty_dirs(kube::Pod pod, std::vector<std::string> names) {
  for (auto& name : names) {
    kube::Volume volume;
    volume.name = std::move(name);
    volume.empty_dir.emplace();
    pod.spec.volumes.push_back(std::move(volume));
  }
  return pod;
}

TEST_F(AgentTest, AVolumeThatAnEphemeralContainerIsTheFirstToMountIsMadeBeforeIt) {
  auto web = with_empty_dirs(make_pod("web", "u1"), {"data", "spare"});
  web.spec.containers[0].volume_mounts.push_back({.name = "data", .mount_path = "/data"});
  want({web});
  web = with_ephemeral(with_ephemeral(web, "look"), "read", "data");
  want({web});
  EXPECT_EQ(count("prepare"), 1U) << "nothing that was not there";
  EXPECT_NE(world.running("look"), "");
  EXPECT_NE(world.running("read"), "");

  world.before_call = [](std::string_view call) {
    return call == "prepare" ? Result<>(fail(Kind::not_found, "no disk")) : Result<>();
  };
  web = with_ephemeral(web, "write", "spare");
  want({web});
  EXPECT_EQ(count("prepare"), 2U);
  EXPECT_EQ(reasons("web").back(), "FailedMount");
  EXPECT_EQ(count("create_container write"), 0U);
  world.before_call = [](std::string_view) { return Result<>(); };
  loop.advance(clock, 60s);
  EXPECT_EQ(count("prepare"), 3U);
  EXPECT_NE(world.running("write"), "");
  EXPECT_EQ(count("stop_container"), 0U);
  EXPECT_EQ(count("create_sandbox"), 1U);
}

TEST_F(AgentTest, AnEphemeralContainerThatComesWhileVolumesAreMadeHasItsOwn) {
  const auto web = with_empty_dirs(make_pod("web", "u1"), {"spare"});
  kube::DesiredState later;
  later.pods.emplace("default/web", with_ephemeral(web, "look", "spare"));
  world.before_call = [&](std::string_view call) {
    if (call == "prepare" && count("prepare") == 1) {
      agent->desired(later);
    }
    return Result<>();
  };
  want({web});
  EXPECT_EQ(count("prepare"), 2U);
  EXPECT_NE(world.running("look"), "");
  const auto last = std::find(world.calls.rbegin(), world.calls.rend(), "prepare").base();
  EXPECT_NE(std::find(last, world.calls.end(), "create_container look"), world.calls.end());
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

}  // namespace
}  // namespace keelson::agent::testing
