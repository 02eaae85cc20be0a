// SPDX-License-Identifier: Apache-2.0
// The rules of restarting, init containers, sidecars and ending, as tables.
#include "agent/plan.h"

#include <gtest/gtest.h>

#include "agent/plan_world.h"

namespace keelson::agent {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using kube::PodPhase;
using kube::RestartPolicy;

TEST(Plan, AnEphemeralContainerStartsAtAnyTimeAndOnce) {
  World w(pod_of({"init"}, {"a"}), {instance("init", RunState::running)});
  w.pod.spec.ephemeral_containers.push_back({.container = container("probe"), .target_container_name = "a"});
  EXPECT_EQ(w.steps(), "start_container probe 0") << "whatever the init containers do";
  w.observed.containers.push_back(instance("probe", RunState::running));
  EXPECT_EQ(w.steps(), "");
  auto status = w.status();
  ASSERT_EQ(status.ephemeral_container_statuses.size(), 1U);
  EXPECT_TRUE(status.ephemeral_container_statuses[0].state.running);
  EXPECT_EQ(status.phase, PodPhase::pending) << "it does not count";
  w.observed.containers.back() = instance("probe", RunState::exited, 1);
  EXPECT_EQ(w.steps(), "");
  EXPECT_EQ(w.status().ephemeral_container_statuses[0].state.terminated->exit_code, 1);
  w.observed.containers.back() = instance("probe", RunState::running);
  w.memory.removed = true;
  w.memory.ending_since = kNow;
  EXPECT_EQ(w.steps(), "kill_container init-0 30 s, kill_container probe-0 30 s");
}

TEST(Plan, ANewPodIsPreparedAndGetsASandbox) {
  World w(pod_of({}, {"a"}), {});
  w.observed.sandboxes.clear();
  w.memory.prepared = false;
  EXPECT_EQ(w.steps(), "prepare, create_sandbox 0");
  EXPECT_EQ(w.status().phase, PodPhase::pending);
  EXPECT_EQ(w.status().container_statuses[0].state.waiting->reason, "ContainerCreating");
}

TEST(Plan, RestartFollowsPolicyAndExitCode) {
  struct Row {
    RestartPolicy policy;
    int exit_code;
    std::string steps;
    PodPhase phase;
  };
  for (const auto& row : std::vector<Row>{{RestartPolicy::always, 0, "start_container a 1", PodPhase::running},
                                          {RestartPolicy::always, 1, "start_container a 1", PodPhase::running},
                                          {RestartPolicy::on_failure, 1, "start_container a 1", PodPhase::running},
                                          {RestartPolicy::on_failure, 0, "stop_sandbox s0", PodPhase::succeeded},
                                          {RestartPolicy::never, 0, "stop_sandbox s0", PodPhase::succeeded},
                                          {RestartPolicy::never, 1, "stop_sandbox s0", PodPhase::failed}}) {
    World w(pod_of({}, {"a"}, row.policy), {instance("a", RunState::exited, row.exit_code)});
    EXPECT_EQ(w.steps(), row.steps) << kube::to_string(row.policy) << row.exit_code;
    EXPECT_EQ(w.status().phase, row.phase) << kube::to_string(row.policy) << row.exit_code;
  }
}

TEST(Plan, BackOffDoublesToItsMaximumAndForgetsAfterALongRun) {
  LifecycleTimes times;
  auto ended = instance("a", RunState::exited, 1);
  std::vector<int> seconds;
  for (int i = 0; i < 8; ++i) {
    ended.restart_delay = next_restart_delay(ended, times);
    seconds.push_back(static_cast<int>(ended.restart_delay / 1s));
  }
  EXPECT_EQ(seconds, (std::vector<int>{10, 20, 40, 80, 160, 300, 300, 300}));
  ended.created_at = ended.finished_at - 601s;
  EXPECT_EQ(restart_wait(ended, times), 0s);
  EXPECT_EQ(next_restart_delay(ended, times), 10s);
}

TEST(Plan, CrashLoopWaitsFromTheEndOfTheLastInstance) {
  auto second = instance("a", RunState::exited, 3, 1);
  second.restart_delay = 10s;
  World w(pod_of({}, {"a"}), {second, instance("a", RunState::exited, 3, 0)});
  EXPECT_EQ(w.steps(), "remove_container a-0 | wake +9 s");
  auto status = w.status().container_statuses[0];
  EXPECT_EQ(status.state.waiting->reason, "CrashLoopBackOff");
  EXPECT_EQ(status.state.waiting->message, "back-off 10s restarting failed container=a pod=web_default(u1)");
  EXPECT_EQ(status.last_state.terminated->exit_code, 3);
  EXPECT_EQ(status.restart_count, 1);
  EXPECT_EQ(w.steps(kNow + 9s), "remove_container a-0, start_container a 2");
}

TEST(Plan, InitContainersRunInOrderAndAreReadFromTheLast) {
  auto pod = pod_of({"i1", "i2"}, {"a"});
  EXPECT_EQ(World(pod, {}).steps(), "start_container i1 0");
  EXPECT_EQ(World(pod, {instance("i1", RunState::running)}).steps(), "");
  EXPECT_EQ(World(pod, {instance("i1", RunState::exited)}).steps(), "start_container i2 0");
  // i1 was collected meanwhile: i2 proves that it had succeeded.
  EXPECT_EQ(World(pod, {instance("i2", RunState::exited)}).steps(), "start_container a 0");
  EXPECT_EQ(World(pod, {instance("a", RunState::running)}).steps(), "");
  World failed(pod, {instance("i1", RunState::exited, 2)});
  EXPECT_EQ(failed.steps(), "start_container i1 1");
  failed.pod.spec.restart_policy = RestartPolicy::never;
  EXPECT_EQ(failed.steps(), "stop_sandbox s0");
  EXPECT_EQ(failed.status().phase, PodPhase::failed);
}

TEST(Plan, SidecarsGateRestartAndDoNotKeepThePodAlive) {
  auto pod = pod_of({"side1", "i1", "side2"}, {"a"}, RestartPolicy::never);
  World begun(pod, {instance("side1", RunState::running)});
  begun.memory.containers["side1"].started = false;
  EXPECT_EQ(begun.steps(), "");
  begun.memory.containers["side1"].started = true;
  EXPECT_EQ(begun.steps(), "start_container i1 0");
  World crashed(pod, {instance("side1", RunState::exited, 1), instance("i1", RunState::exited),
                      instance("side2", RunState::running), instance("a", RunState::running)});
  EXPECT_EQ(crashed.steps(), "start_container side1 1");
  World ended(pod, {instance("side1", RunState::running), instance("i1", RunState::exited),
                    instance("side2", RunState::running), instance("a", RunState::exited)});
  EXPECT_EQ(ended.steps(), "kill_container side1-0 30 s after side2-0, kill_container side2-0 30 s");
  EXPECT_EQ(ended.status({.phase = PodPhase::running}).phase, PodPhase::running);  // held while side2 runs
  ended.observed.containers[2].state = RunState::exited;
  ended.observed.containers[2].exit_code = 137;
  EXPECT_EQ(ended.steps(), "kill_container side1-0 30 s");
  ended.observed.containers[0].state = RunState::exited;
  EXPECT_EQ(ended.status().phase, PodPhase::succeeded);  // sidecars' exit codes do not count
}

TEST(Plan, ARemovedPodEndsMainsFirstThenEverythingGoes) {
  World w(pod_of({"side1"}, {"a", "b"}),
          {instance("side1", RunState::running), instance("a", RunState::running), instance("b", RunState::running)});
  w.memory.removed = true;
  w.memory.ending_since = kNow - 10s;
  EXPECT_EQ(w.steps(), "kill_container side1-0 20 s after a-0 b-0, kill_container a-0 20 s, kill_container b-0 20 s");
  w.observed.containers[1].state = w.observed.containers[2].state = RunState::exited;
  EXPECT_EQ(w.steps(), "kill_container side1-0 20 s");
  w.observed.containers[0].state = RunState::exited;
  EXPECT_EQ(w.steps(),
            "stop_sandbox s0, remove_container side1-0, remove_container a-0, remove_container b-0, remove_sandbox s0, "
            "clean_up");
  w.observed = {};
  w.memory.cleaned = true;
  EXPECT_EQ(w.ask().stage, Plan::Stage::gone);
}

TEST(Plan, WhatHasEndedGivesUpItsVolumesAndWhenRoomIsWantedItsDead) {
  World w(pod_of({}, {"a"}), {instance("a", RunState::exited)});
  w.memory.verdict = Verdict{PodPhase::failed, "Evicted", "", {}};
  w.observed.sandboxes[0].ready = false;
  EXPECT_EQ(w.steps(), "release");
  w.memory.released = true;
  EXPECT_EQ(w.steps(), "") << "its logs are for whoever asks";
  EXPECT_EQ(w.ask().stage, Plan::Stage::finished);
  w.memory.free_dead = true;
  EXPECT_EQ(w.steps(), "remove_container a-0, remove_sandbox s0");
  w.observed = {};
  EXPECT_EQ(w.ask().stage, Plan::Stage::finished) << "its object is still there";
}

TEST(Plan, ALostSandboxIsReplacedAndInitRunsAgain) {
  World w(pod_of({"i1"}, {"a"}), {instance("i1", RunState::exited), instance("a", RunState::exited, 137)});
  w.observed.sandboxes[0].ready = false;
  EXPECT_EQ(w.steps(), "create_sandbox 1");
  w.observed.sandboxes.insert(w.observed.sandboxes.begin(),
                              {.id = "s1", .attempt = 1, .ready = true, .ips = {"10.0.0.3"}});
  EXPECT_EQ(w.steps(), "start_container i1 1");
  World never(pod_of({}, {"a", "b"}, RestartPolicy::never), {instance("a", RunState::exited)});
  never.observed.sandboxes[0].ready = false;
  EXPECT_EQ(never.steps(), "release");
  EXPECT_EQ(never.status().phase, PodPhase::failed);
}

TEST(Plan, WhatStillRunsInALostSandboxIsEndedFirst) {
  World w(pod_of({"side"}, {"a"}), {instance("side", RunState::running), instance("a", RunState::running)});
  w.observed.sandboxes[0].ready = false;
  EXPECT_EQ(w.steps(), "kill_container side-0 30 s after a-0, kill_container a-0 30 s");
  EXPECT_EQ(w.ask().stage, Plan::Stage::sync) << "it goes on in another sandbox";
  World never(pod_of({"i1"}, {"a"}, RestartPolicy::never), {instance("i1", RunState::running)});
  never.observed.sandboxes[0].ready = false;
  EXPECT_EQ(never.steps(), "kill_container i1-0 30 s");
  EXPECT_EQ(never.ask().stage, Plan::Stage::ending) << "init containers are not run a second time";
  never.observed.containers[0] = instance("i1", RunState::exited);
  EXPECT_EQ(never.steps(), "release");
  EXPECT_EQ(never.status().phase, PodPhase::failed);
}

TEST(Plan, AnImageChangeRestartsEvenWithNeverAndAnEnvEditDoesNot) {
  World w(pod_of({}, {"a"}, RestartPolicy::never), {instance("a", RunState::running)});
  w.pod.spec.containers[0].env.push_back({.name = "X", .value = "1"});
  EXPECT_EQ(w.steps(), "");
  w.pod.spec.containers[0].image = "other";
  EXPECT_EQ(w.steps(), "kill_container a-0 30 s");
  EXPECT_EQ(w.ask().steps[0].message, "Container a definition changed, will be restarted");
  EXPECT_TRUE(w.ask().steps[0].restarts);
  w.observed.containers[0].state = RunState::exited;
  EXPECT_EQ(w.status().phase, PodPhase::succeeded) << "it had ended by itself";
  w.memory.containers["a"].restarts = true;
  EXPECT_EQ(w.steps(), "start_container a 1");
  EXPECT_EQ(w.status().phase, PodPhase::running);
}

TEST(Plan, AContainersHashIsTheKubelets) {
  kube::Container known;
  known.name = "test_container";
  known.image = "foo/image:v1";
  EXPECT_EQ(spec_hash(known), "8e45cbd0") << "pkg/kubelet/container/container_hash_test.go of Kubernetes 1.31 to 1.34";
  kube::Container edited = known;
  edited.command = {"/bin/testcmd"};
  EXPECT_EQ(spec_hash(edited), spec_hash(known));
  edited.image = "foo/image:v2";
  EXPECT_NE(spec_hash(edited), spec_hash(known));
}

TEST(Plan, AnImageChangeOfARunningInitContainerWaitsForItsEnd) {
  World w(pod_of({"side", "i1"}, {"a"}), {instance("side", RunState::running), instance("i1", RunState::running)});
  w.pod.spec.init_containers[1].image = "other";
  EXPECT_EQ(w.steps(), "");
  w.pod.spec.init_containers[0].image = "other";
  EXPECT_EQ(w.steps(), "kill_container side-0 30 s");
  EXPECT_EQ(w.ask().steps[0].message, "Init container side definition changed");
}

TEST(Plan, TheDeadlineEndsThePod) {
  World w(pod_of({}, {"a"}), {instance("a", RunState::running)});
  w.pod.spec.active_deadline_seconds = 90;
  EXPECT_EQ(w.steps(), " | wake +30 s");
  EXPECT_EQ(w.steps(kNow + 30s), "kill_container a-0 30 s");
}

TEST(Plan, AContainerMadeButNeverStartedIsMadeAgainAsTheSameAttempt) {
  World w(pod_of({}, {"a"}), {instance("a", RunState::created, 0, 4)});
  EXPECT_EQ(w.steps(), "remove_container a-4, start_container a 4");
}

}  // namespace
}  // namespace keelson::agent
