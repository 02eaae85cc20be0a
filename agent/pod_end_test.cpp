// SPDX-License-Identifier: Apache-2.0
// How containers end: hooks, grace, order, and what is told of ends that go wrong.
#include <gmock/gmock.h>

#include "agent/agent_fixture.h"

namespace keelson::agent::testing {
namespace {

using Words = std::vector<std::string>;

/// What the runtime was told of ends, in order.
class PodEndTest : public AgentTest {
 protected:
  Words ends() {
    Words found;
    std::ranges::copy_if(world.calls, std::back_inserter(found), [](const auto& call) {
      return call.starts_with("stop_container") || call.starts_with("exec");
    });
    return found;
  }
  static kube::LifecycleHandler exec_of(std::string command) {
    kube::LifecycleHandler handler;
    handler.exec = kube::ExecAction{.command = {std::move(command)}};
    return handler;
  }
  static kube::Container sidecar(const std::string& name) {
    kube::Container container = make_pod("", "", {name}).spec.containers[0];
    container.restart_policy = kube::RestartPolicy::always;
    return container;
  }
  std::string message_of(const std::string& name, const std::string& reason) {
    std::string text;
    for (const auto& event : agent->events().list("default", name)) {
      text = event.reason == reason ? event.message : text;
    }
    return text;
  }
};

TEST_F(PodEndTest, HooksBeginAtOnceAndSidecarsAreToldLast) {
  kube::Pod web = make_pod("web", "u1");
  web.spec.init_containers = {sidecar("side1"), sidecar("side2")};
  web.spec.init_containers[0].lifecycle = kube::Lifecycle{.pre_stop = exec_of("drain")};
  world.stop_takes = 5s;
  want({web});
  want({});
  EXPECT_THAT(ends(), ::testing::UnorderedElementsAre("exec drain", "stop_container main 30"));
  loop.advance(clock, 5s);
  EXPECT_EQ(ends().back(), "stop_container side2 25");
  loop.advance(clock, 5s);
  EXPECT_EQ(ends().back(), "stop_container side1 20");
  loop.advance(clock, 5s);
  EXPECT_EQ(ends().size(), 4U);
  EXPECT_TRUE(agent->pods().empty());
}

TEST_F(PodEndTest, ASidecarHasTwoSecondsWhenTheMainsHaveUsedUpTheGrace) {
  kube::Pod web = make_pod("web", "u1");
  web.spec.termination_grace_period_seconds = 10;
  web.spec.init_containers = {sidecar("side")};
  world.stop_takes = 60s;
  want({web});
  want({});
  loop.advance(clock, 10s);
  EXPECT_EQ(ends(), (Words{"stop_container main 10", "stop_container side 2"}));
}

TEST_F(PodEndTest, WhateverTheGraceAContainerHasTwoSecondsToEnd) {
  kube::Pod restarted = make_pod("restarted", "u1");
  restarted.spec.termination_grace_period_seconds = 0;
  want({restarted, make_pod("forced", "u2", {"forced"}), make_pod("evicted", "u3", {"evicted"})});
  kube::Pod edited = restarted;
  edited.spec.containers[0].image = "other";
  kube::Pod forced = make_pod("forced", "u2", {"forced"});
  forced.metadata.deletion_timestamp = clock.wall();
  forced.metadata.deletion_grace_period_seconds = 0;
  want({edited, forced, make_pod("evicted", "u3", {"evicted"})});
  agent->fail_pod("u3", Verdict{kube::PodPhase::failed, "Evicted", ""}, 1);
  loop.advance(clock, 100ms);
  EXPECT_EQ(count("stop_container main 2"), 1U);
  EXPECT_EQ(count("stop_container forced 2"), 1U);
  EXPECT_EQ(count("stop_container evicted 2"), 1U);
}

TEST_F(PodEndTest, AnEditedImageRunsEvenIfNothingIsToBeRestarted) {
  kube::Pod web = make_pod("web", "u1");
  web.spec.restart_policy = kube::RestartPolicy::never;
  want({web});
  web.spec.containers[0].image = "other";
  want({web});
  loop.advance(clock, 1s);
  EXPECT_EQ(count("start_container main"), 2U);
  EXPECT_EQ(pod("web").status.phase, kube::PodPhase::running);
  world.exit_container(world.running("main"), 0);
  loop.advance(clock, 1s);
  EXPECT_EQ(pod("web").status.phase, kube::PodPhase::succeeded);
}

TEST_F(PodEndTest, AFailedProbeOfAPodThatIsNotRestartedFailsIt) {
  kube::Pod web = make_pod("web", "u1");
  web.spec.restart_policy = kube::RestartPolicy::never;
  web.spec.containers[0].liveness_probe.emplace();
  want({web});
  const std::string id = world.running("main");
  probes.watched.at(id)({.kind = ProbeKind::liveness, .name = "main", .id = id, .decided = true, .success = false});
  loop.advance(clock, 1s);
  EXPECT_EQ(message_of("web", "Killing"), "Container main failed liveness probe");
  EXPECT_EQ(count("start_container main"), 1U);
  EXPECT_EQ(pod("web").status.phase, kube::PodPhase::failed);
}

TEST_F(PodEndTest, AProbeThatCannotBeTriedIsToldAndChangesNothing) {
  kube::Pod web = make_pod("web", "u1");
  web.spec.containers[0].readiness_probe.emplace();
  want({web});
  const std::string id = world.running("main");
  ProbeNews news{.kind = ProbeKind::readiness, .name = "main", .id = id, .decided = true, .success = true};
  probes.watched.at(id)(news);
  probes.watched.at(id)({.kind = ProbeKind::readiness, .name = "main", .id = id, .message = "away", .error = true});
  EXPECT_EQ(message_of("web", "Unhealthy"), "Readiness probe errored and resulted in unknown state: away");
  news.decided = false;
  news.warning = "Probe terminated redirects";
  probes.watched.at(id)(news);
  EXPECT_EQ(message_of("web", "ProbeWarning"), "Readiness probe warning: Probe terminated redirects");
  EXPECT_TRUE(is_ready(pod("web").status));
}

TEST_F(PodEndTest, AFailedPostStartHookIsSaidBeforeTheBackOff) {
  kube::Pod web = make_pod("web", "u1");
  web.spec.containers[0].lifecycle = kube::Lifecycle{.post_start = exec_of("false")};
  want({web});
  const auto reason = [&] { return pod("web").status.container_statuses[0].state.waiting->reason; };
  EXPECT_EQ(reason(), "PostStartHookError");
  loop.advance(clock, 1s);  // the first restart is at once
  EXPECT_EQ(reason(), "PostStartHookError");
  EXPECT_EQ(count("start_container main"), 2U);
  loop.advance(clock, 1s);
  EXPECT_EQ(reason(), "CrashLoopBackOff");
}

TEST_F(PodEndTest, ABadImageNameIsSaidWhateverThePullPolicy) {
  for (const auto policy : {kube::PullPolicy::always, kube::PullPolicy::if_not_present, kube::PullPolicy::never}) {
    kube::Pod web = make_pod("web", "u1");
    web.spec.containers[0].image = "Bad:Name:1";
    web.spec.containers[0].image_pull_policy = policy;
    want({web});
    EXPECT_EQ(pod("web").status.container_statuses[0].state.waiting->reason, "InvalidImageName");
    EXPECT_NE(message_of("web", "InspectFailed").find("couldn't parse image name"), std::string::npos);
    want({});
  }
  EXPECT_EQ(count("find_image"), 0U);
}

TEST_F(PodEndTest, APullIsToldWithAndWithoutTheWaitForOthers) {
  world.pull_waits = 58s;
  world.pull_takes = 3500ms;
  want({make_pod("web", "u1")});
  loop.advance(clock, 62s);
  EXPECT_EQ(message_of("web", "Pulled"),
            "Successfully pulled image \"img\" in 3.5s (1m1.5s including waiting). Image size: 1000 bytes.");
}

TEST_F(PodEndTest, ALostContainerIsMadeAnewAsItsLogsCount) {
  want({make_pod("web", "u1")});
  world.containers.clear();
  world.logged["main"] = 3;
  agent->runtime_changed("u1");
  loop.advance(clock, 100ms);
  const auto status = pod("web").status;
  EXPECT_EQ(status.container_statuses[0].restart_count, 3);
  EXPECT_EQ(world.containers.begin()->second.attempt, 3U);
  EXPECT_EQ(status.phase, kube::PodPhase::running);
}

TEST_F(PodEndTest, AnEndThatFailsIsTold) {
  want({make_pod("web", "u1")});
  world.before_call = [](std::string_view call) -> Result<> {
    return call.starts_with("stop_container") ? fail(Kind::internal, "no such cgroup") : Result<>();
  };
  want({});
  EXPECT_NE(message_of("web", "FailedKillPod").find("error killing pod: "), std::string::npos);
}

TEST_F(PodEndTest, APodThatEndsBeforeItHasBegunFailsAtNothing) {
  for (const std::string_view step : {"prepare", "create_sandbox"}) {
    world.before_call = [&](std::string_view call) {
      if (call == step) {
        world.hung.insert("u1");
      }
      return Result<>();
    };
    want({make_pod("web", "u1")});
    EXPECT_EQ(world.calls.back(), step);
    world.before_call = [](std::string_view) { return Result<>(); };
    world.hung.clear();
    want({});
    loop.advance(clock, 60s);
  }
  EXPECT_EQ(message_of("web", "FailedMount"), "");
  EXPECT_EQ(message_of("web", "FailedCreatePodSandBox"), "");
}

TEST_F(PodEndTest, AnEvictionThatTakesTooLongIsTold) {
  want({make_pod("web", "u1")});
  world.before_call = [this](std::string_view call) {
    if (call.starts_with("stop_container")) {
      world.hung.insert("u1");
    }
    return Result<>();
  };
  agent->fail_pod("u1", Verdict{kube::PodPhase::failed, "Evicted", ""}, 20);
  loop.advance(clock, 29s);
  EXPECT_EQ(message_of("web", "ExceededGracePeriod"), "");
  loop.advance(clock, 1s);
  EXPECT_EQ(message_of("web", "ExceededGracePeriod"),
            "Container runtime did not kill the pod within specified grace period.");
}

}  // namespace
}  // namespace keelson::agent::testing
