// SPDX-License-Identifier: Apache-2.0
// A pod on a small world and a fake clock, from its start to its end.
#include "agent/agent_fixture.h"

namespace keelson::agent::testing {
namespace {

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
  agent->set_leave_services([&](const kube::Pod& pod, bool for_good) {
    EXPECT_TRUE(for_good);
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

TEST_F(AgentTest, AllPodsFollowTheNodesAddresses) {
  auto on_host = make_pod("host", "u2");
  on_host.spec.host_network = true;
  want({make_pod("web", "u1"), on_host});
  EXPECT_EQ(pod("web").status.host_ip, "192.0.2.1");
  agent->node_ips_are({"192.0.2.7", "fd00::7"});
  loop.run_until_idle();
  EXPECT_EQ(pod("web").status.host_ip, "192.0.2.7");
  EXPECT_EQ(pod("web").status.host_ips, (std::vector<std::string>{"192.0.2.7", "fd00::7"}));
  EXPECT_EQ(pod("host").status.pod_ips, pod("web").status.host_ips);
}

TEST_F(AgentTest, APodLeavesServicesBeforeAContainerOfItIsKilled) {
  auto allowed = std::make_shared<asio::steady_timer>(loop.io(), asio::steady_timer::time_point::max());
  std::vector<bool> left;  // for good
  agent->set_leave_services([&](const kube::Pod&, bool for_good) {
    left.push_back(for_good);
    return leave_when(allowed);
  });
  auto pod_spec = make_pod("web", "u1");
  pod_spec.spec.containers[0].liveness_probe.emplace();
  want({pod_spec});
  for (int kills = 1; kills <= 2; ++kills) {
    const auto id = world.running("main");
    probes.watched[id]({.kind = ProbeKind::liveness, .name = "main", .id = id, .decided = true, .success = false});
    loop.run_until_idle();
    EXPECT_EQ(left, std::vector<bool>(static_cast<size_t>(kills), false));
    EXPECT_EQ(count("stop_container"), static_cast<size_t>(kills) - 1);
    allowed->cancel();
    loop.advance(clock, 20s);
    EXPECT_EQ(count("stop_container"), static_cast<size_t>(kills));
    ASSERT_NE(world.running("main"), id);
  }
  want({});
  loop.run_until_idle();
  EXPECT_EQ(left, (std::vector<bool>{false, false, true})) << "its own end is told, too";
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

TEST_F(AgentTest, AddressesBeginWithTheNodesFamily) {
  want({make_pod("web", "u1")});
  world.sandboxes.begin()->second.seen.ips = {"fd00::2", "10.0.0.2"};
  agent->runtime_changed("u1");
  loop.advance(clock, 100ms);
  EXPECT_EQ(pod("web").status.pod_ips, (std::vector<std::string>{"10.0.0.2", "fd00::2"}));
  EXPECT_EQ(pod("web").status.pod_ip, "10.0.0.2");
}

TEST_F(AgentTest, OrphansAreSoughtForAsLongAsTheAgentRuns) {
  want({make_pod("web", "u1")});
  kube::ObjectMeta stray;
  stray.name = "stray";
  stray.ns = "default";
  stray.uid = "u9";
  world.sandboxes["s99"] = {stray, {.id = "s99", .ready = true}};
  world.prepared.insert("u8");
  loop.advance(clock, 29s);
  EXPECT_EQ(world.sandboxes.size(), 2U);
  loop.advance(clock, 2s);
  EXPECT_EQ(world.sandboxes.size(), 1U);
  EXPECT_EQ(world.prepared, std::set<std::string>{"u1"});
  EXPECT_TRUE(is_ready(pod("web").status));
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

TEST_F(AgentTest, APodWaitsForTheNetworkUnlessItUsesTheNodes) {
  world.network_lacks =
      "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:none";
  auto host = make_pod("host", "u2");
  host.spec.host_network = true;
  want({make_pod("web", "u1"), host});
  EXPECT_TRUE(is_ready(pod("host").status));
  EXPECT_EQ(count("create_sandbox"), 1U);
  loop.advance(clock, 60s);
  EXPECT_EQ(count("create_sandbox"), 1U);
  EXPECT_EQ(pod("web").status.phase, kube::PodPhase::pending);
  EXPECT_EQ(pod("web").status.container_statuses[0].state.waiting->reason, "ContainerCreating");
  const auto events = agent->events().list("default", "web");
  ASSERT_EQ(events.size(), 1U) << "and no sandbox has failed";
  EXPECT_EQ(events[0].reason, "NetworkNotReady");
  EXPECT_EQ(events[0].message, "network is not ready: " + world.network_lacks);
  EXPECT_GT(events[0].count, 50) << "it looks each second, for ever";
  world.network_lacks.clear();
  loop.advance(clock, 1100ms);
  EXPECT_TRUE(is_ready(pod("web").status));
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

/// A pod whose container "main" mounts the image as volume "data".
kube::Pod pod_with_image(const std::string& image, kube::PullPolicy policy = kube::PullPolicy::if_not_present) {
  auto pod = make_pod("web", "u1", {"main", "other"});
  pod.spec.volumes.emplace_back().name = "data";
  pod.spec.volumes.back().image = kube::ImageVolume{.reference = image, .pull_policy = policy};
  pod.spec.containers[0].volume_mounts.push_back({.name = "data", .mount_path = "/data"});
  return pod;
}

TEST_F(AgentTest, AnImageVolumeIsPulledBeforeItsContainer) {
  world.images = {"img"};
  want({pod_with_image("pages")});
  EXPECT_EQ(world.images, (std::set<std::string>{"img", "pages"}));
  EXPECT_NE(world.running("main"), "");
  EXPECT_TRUE(world.image_volumes.empty()) << "the other container was made last, and has none";
  std::vector<std::string> told;
  for (const auto& event : agent->events().list("default", "web")) {
    if (event.message.find("pages") != std::string::npos) {
      EXPECT_EQ(event.involved_object.field_path, "") << "a volume is the pod's";
      told.push_back(event.reason);
    }
  }
  EXPECT_EQ(told, (std::vector<std::string>{"Pulling", "Pulled"}));

  world.exit_container(world.running("main"), 1);
  loop.advance(clock, 20s);
  EXPECT_NE(world.running("main"), "");
  EXPECT_EQ(world.image_volumes, (std::map<std::string, std::string>{{"data", "sha256:pages"}}))
      << "a restart keeps it";
  EXPECT_EQ(count("pull_image"), 1U) << "it is here";
}

TEST_F(AgentTest, AnImageVolumeThatCannotBePulledHoldsItsContainerAlone) {
  world.images = {"img"};
  want({pod_with_image("missing-pages")});
  EXPECT_EQ(world.running("main"), "");
  EXPECT_NE(world.running("other"), "");
  const auto waiting = [&] { return *pod("web").status.container_statuses[0].state.waiting; };
  EXPECT_EQ(waiting().reason, "ErrImagePull");
  EXPECT_EQ(waiting().message, "missing-pages: not found");
  loop.advance(clock, 2s);
  EXPECT_EQ(waiting().reason, "ImagePullBackOff");
  EXPECT_EQ(waiting().message, "Back-off pulling image \"missing-pages\": ErrImagePull: missing-pages: not found");
  EXPECT_EQ(count("create_container main"), 0U);
  std::map<std::string, std::string> subjects;
  for (const auto& event : agent->events().list("default", "web")) {
    subjects[event.message] = event.involved_object.field_path;
  }
  EXPECT_EQ(subjects.at("Back-off pulling image \"missing-pages\""), "");
  EXPECT_EQ(subjects.at("Failed to pull image \"missing-pages\": missing-pages: not found"), "");
  EXPECT_EQ(subjects.at("Error: ErrImagePull"), "spec.containers{main}");

  want({pod_with_image("missing-pages", kube::PullPolicy::never)});
  loop.advance(clock, 20s);
  EXPECT_EQ(waiting().reason, "ErrImageNeverPull");
  EXPECT_EQ(waiting().message, "Container image \"missing-pages\" is not present with pull policy of Never");
}

TEST_F(AgentTest, AnImageVolumeIsFoundOnceForAllContainersOfThePod) {
  world.images = {"img"};
  auto wanted = pod_with_image("pages", kube::PullPolicy::always);
  wanted.spec.containers[1].volume_mounts = wanted.spec.containers[0].volume_mounts;
  want({wanted});
  EXPECT_NE(world.running("main"), "");
  EXPECT_NE(world.running("other"), "");
  EXPECT_EQ(count("pull_image"), 1U);
  world.exit_container(world.running("main"), 1);
  loop.advance(clock, 20s);
  EXPECT_NE(world.running("main"), "");
  EXPECT_EQ(world.image_volumes, (std::map<std::string, std::string>{{"data", "sha256:pages"}}));
  EXPECT_EQ(count("pull_image"), 1U) << "the pod is the same";
  world.images.erase("pages");
  world.exit_container(world.running("main"), 1);
  loop.advance(clock, 40s);
  EXPECT_NE(world.running("main"), "");
  EXPECT_EQ(count("pull_image"), 2U) << "somebody has removed it";
  world.lose_sandbox(world.sandboxes.begin()->first);
  loop.advance(clock, 60s);
  EXPECT_NE(world.running("main"), "");
  EXPECT_EQ(count("pull_image"), 3U) << "another sandbox is another start";
}

TEST_F(AgentTest, AnImageVolumeThatCannotBePulledIsAskedForOnceForAllContainers) {
  world.images = {"img"};
  auto wanted = pod_with_image("missing-pages");
  wanted.spec.containers[1].volume_mounts = wanted.spec.containers[0].volume_mounts;
  want({wanted});
  EXPECT_EQ(count("pull_image"), 1U);
  for (const auto& status : pod("web").status.container_statuses) {
    ASSERT_TRUE(status.state.waiting) << status.name;
    EXPECT_EQ(status.state.waiting->reason + ": " + status.state.waiting->message,
              "ErrImagePull: missing-pages: not found");
  }
  loop.advance(clock, 11s);
  EXPECT_EQ(count("pull_image"), 2U) << "both are tried again, together";
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

}  // namespace
}  // namespace keelson::agent::testing
