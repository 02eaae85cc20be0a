// SPDX-License-Identifier: Apache-2.0
// The status manager on a small API and a fake clock.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "agent/cluster/status_manager_fixture.h"

namespace keelson::agent::testing {
namespace {

using ::testing::HasSubstr;

TEST_F(StatusManagerTest, WhatTheApiHasIsNotSaidAgain) {
  api.put(make_pod("web", "u1", kube::PodPhase::running));
  manager->says(make_pod("web", "u1", kube::PodPhase::running), false);
  loop.advance(clock, 60s);
  EXPECT_TRUE(api.requests.empty());
}

TEST_F(StatusManagerTest, OneRequestAtATimeAndTheNewestWins) {
  api.put(make_pod("web", "u1"));
  auto pod = make_pod("web", "u1", kube::PodPhase::running);
  manager->says(pod, false);
  loop.advance(clock, 1ms);
  for (const char* ip : {"10.0.0.1", "10.0.0.2", "10.0.0.3"}) {
    pod.status.pod_ip = ip;
    manager->says(pod, false);
  }
  loop.advance(clock, 1s);
  ASSERT_EQ(api.requests.size(), 2U);
  EXPECT_EQ(api.at_once, 1U);
  EXPECT_EQ(api.requests[0].path, "/api/v1/namespaces/default/pods/web/status");
  EXPECT_EQ(api.requests[0].content_type, "application/strategic-merge-patch+json");
  EXPECT_EQ(api.pods.at("default/web").status.pod_ip, "10.0.0.3");
}

TEST_F(StatusManagerTest, HowLongTheApiWaitsForAChangeIsTold) {
  const auto waits = [this] {
    Stats stats;
    manager->collect(stats);
    return stats.families().at("kubelet_pod_status_sync_duration_seconds").samples.at(0).histogram.at(0);
  };
  auto pod = make_pod("web", "u1", kube::PodPhase::running);
  api.put(pod);
  manager->says(pod, false);
  loop.advance(clock, 1min);
  EXPECT_EQ(waits().count(), 0U) << "the API had it so";
  pod.status.pod_ip = "10.0.0.1";
  manager->says(pod, false);
  loop.advance(clock, 4ms);
  pod.status.pod_ip = "10.0.0.2";
  manager->says(pod, false);
  loop.advance(clock, 1s);
  EXPECT_EQ(waits().count(), 2U);
  EXPECT_DOUBLE_EQ(waits().sum(), 0.010 + 0.016) << "the second waited for the first, and 10 ms for its own answer";

  api.before = [](const kube::Request&) -> Result<> { return std::unexpected(nobody_answers()); };
  for (const char* ip : {"10.0.0.3", "10.0.0.4"}) {
    pod.status.pod_ip = ip;
    manager->says(pod, false);
    loop.advance(clock, 20s);
  }
  EXPECT_EQ(waits().count(), 2U);
  api.before = [](const kube::Request&) { return Result<>(); };
  loop.advance(clock, 10s);
  EXPECT_EQ(waits().count(), 3U) << "one request for both";
  EXPECT_GE(waits().sum(), 40);
}

kube::ContainerStatus waiting(const std::string& reason) {
  kube::ContainerStatus status;
  status.name = "main";
  status.state.waiting = kube::ContainerWaiting{.reason = reason, .message = {}};
  return status;
}

TEST_F(StatusManagerTest, TheStepsOfAQuickStartAreOneWord) {
  api.put(make_pod("web", "u1"));
  auto pod = make_pod("web", "u1");
  pod.status.container_statuses = {waiting("ContainerCreating")};
  manager->says(pod, false);
  loop.advance(clock, 100ms);
  pod.status.pod_ip = "10.0.0.1";
  manager->says(pod, false);
  loop.advance(clock, 100ms);
  EXPECT_TRUE(api.requests.empty());
  pod.status.phase = kube::PodPhase::running;
  manager->says(pod, false);
  loop.advance(clock, 20ms);
  EXPECT_EQ(api.requests.size(), 1U);
  EXPECT_EQ(phase("web"), kube::PodPhase::running);
  loop.advance(clock, 60s);
  EXPECT_EQ(api.requests.size(), 1U);
}

TEST_F(StatusManagerTest, AStartThatTakesLongIsSaidMeanwhile) {
  api.put(make_pod("web", "u1"));
  auto pod = make_pod("web", "u1");
  pod.status.container_statuses = {waiting("ContainerCreating")};
  manager->says(pod, false);
  loop.advance(clock, 520ms);
  EXPECT_EQ(api.pods.at("default/web").status.container_statuses.size(), 1U);
  pod.status.pod_ip = "10.0.0.1";
  manager->says(pod, false);
  loop.advance(clock, 520ms);
  EXPECT_EQ(api.pods.at("default/web").status.pod_ip, "10.0.0.1");
  EXPECT_EQ(api.requests.size(), 2U);
}

TEST_F(StatusManagerTest, TroubleOfAStartIsSaidAtOnce) {
  api.put(make_pod("web", "u1"));
  auto pod = make_pod("web", "u1");
  pod.status.container_statuses = {waiting("ErrImagePull")};
  manager->says(pod, false);
  loop.advance(clock, 20ms);
  EXPECT_EQ(api.requests.size(), 1U);
}

TEST_F(StatusManagerTest, AQuickEndIsOneWordAndTheDeletion) {
  api.put(deleting(make_pod("web", "u1", kube::PodPhase::running)));
  auto pod = make_pod("web", "u1", kube::PodPhase::running);
  pod.status.message = "not ready";
  manager->says(pod, false);
  loop.advance(clock, 100ms);
  pod.status.phase = kube::PodPhase::succeeded;
  manager->says(pod, false);
  loop.advance(clock, 100ms);
  EXPECT_TRUE(api.requests.empty());
  manager->says(pod, true);
  loop.advance(clock, 30ms);
  ASSERT_EQ(api.requests.size(), 2U);
  EXPECT_EQ(api.requests[0].method, "PATCH");
  EXPECT_EQ(api.requests[1].method, "DELETE");
}

TEST_F(StatusManagerTest, WhatOthersWriteOverIsWrittenAgain) {
  api.put(make_pod("web", "u1"));
  manager->says(make_pod("web", "u1", kube::PodPhase::running), false);
  loop.advance(clock, 1s);
  ASSERT_EQ(phase("web"), kube::PodPhase::running);
  api.put(make_pod("web", "u1", kube::PodPhase::unknown));
  loop.advance(clock, 1s);
  EXPECT_EQ(phase("web"), kube::PodPhase::running);
}

TEST_F(StatusManagerTest, AnOlderVersionOfTheWatchCausesNothing) {
  auto old = make_pod("web", "u1");
  old.metadata.resource_version = "5";
  api.put(make_pod("web", "u1"));
  manager->says(make_pod("web", "u1", kube::PodPhase::running), false);
  loop.advance(clock, 1s);
  manager->api_has(old);
  loop.advance(clock, 1s);
  EXPECT_EQ(api.requests.size(), 1U);
}

TEST_F(StatusManagerTest, AFieldThatTheServerDoesNotKnowIsSentOnce) {
  api.put(make_pod("web", "u1"));
  api.changed = [this](const std::string&, std::optional<kube::Pod> pod) {
    pod->status.observed_generation = 0;  // an older server drops it
    api.pods["default/web"] = *pod;
    manager->api_has(*pod);
  };
  auto pod = make_pod("web", "u1", kube::PodPhase::running);
  pod.status.observed_generation = 1;
  manager->says(pod, false);
  loop.advance(clock, 60s);
  EXPECT_EQ(api.requests.size(), 1U);
  pod.status.phase = kube::PodPhase::failed;
  manager->says(pod, false);
  loop.advance(clock, 60s);
  EXPECT_EQ(phase("web"), kube::PodPhase::failed);
  EXPECT_EQ(api.requests.size(), 2U);
}

TEST_F(StatusManagerTest, WhatOthersChangeWhileAPatchIsOnItsWayIsWrittenAgain) {
  api.put(make_pod("web", "u1"));
  bool once = true;
  api.before = [&](const kube::Request&) {
    if (std::exchange(once, false)) {
      auto pod = api.pods.at("default/web");
      pod.status.message = "somebody's";
      api.put(pod);
    }
    return Result<>();
  };
  manager->says(make_pod("web", "u1", kube::PodPhase::running), false);
  loop.advance(clock, 60s);
  EXPECT_EQ(api.pods.at("default/web").status.message, "");
  EXPECT_EQ(api.requests.size(), 2U);
}

TEST_F(StatusManagerTest, AStartThatWasToldOnceStays) {
  auto told = make_pod("etcd-n1", "mirror", kube::PodPhase::running);
  told.metadata.annotations["kubernetes.io/config.mirror"] = "static";
  told.status.start_time = WallTime(1000s);
  api.put(told);
  auto pod = make_pod("etcd-n1", "static", kube::PodPhase::running);
  pod.status.start_time = WallTime(1005s);  // an agent that began anew has seen no more than the sandbox
  pod.status.pod_ip = "10.0.0.9";
  manager->says(pod, false);
  loop.advance(clock, 60s);
  EXPECT_EQ(api.pods.at("default/etcd-n1").status.pod_ip, "10.0.0.9");
  EXPECT_EQ(api.pods.at("default/etcd-n1").status.start_time, WallTime(1000s));
}

TEST_F(StatusManagerTest, AnotherPodOfTheNameIsLeftAlone) {
  api.put(make_pod("web", "u2"));
  manager->says(make_pod("web", "u1", kube::PodPhase::failed), false);
  loop.advance(clock, 60s);
  EXPECT_TRUE(api.requests.empty());
  manager->says(make_pod("web", "u1", kube::PodPhase::failed), true);
  manager->says(make_pod("web", "u2", kube::PodPhase::running), false);
  loop.advance(clock, 1s);
  EXPECT_EQ(phase("web"), kube::PodPhase::running);
}

TEST_F(StatusManagerTest, AnEndIsNeverTakenBack) {
  api.put(make_pod("job", "u1", kube::PodPhase::failed));
  manager->says(make_pod("job", "u1", kube::PodPhase::running), false);
  loop.advance(clock, 60s);
  EXPECT_TRUE(api.requests.empty());
}

TEST_F(StatusManagerTest, APodIsDeletedWhenNothingIsLeftAndItsLastStatusIsThere) {
  api.put(deleting(make_pod("web", "u1", kube::PodPhase::running)));
  const auto last = make_pod("web", "u1", kube::PodPhase::succeeded);
  manager->says(last, false);
  loop.advance(clock, 60s);
  EXPECT_EQ(api.count("PATCH"), 1U);
  EXPECT_EQ(api.count("DELETE"), 0U) << "something is left of it";
  manager->says(last, true);
  loop.advance(clock, 1s);
  ASSERT_EQ(api.count("DELETE"), 1U);
  EXPECT_EQ(api.requests.back().path, "/api/v1/namespaces/default/pods/web");
  EXPECT_EQ(api.requests.back().body,
            R"({"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0,"preconditions":{"uid":"u1"}})");
  EXPECT_TRUE(api.pods.empty());
}

TEST_F(StatusManagerTest, TheStatusGoesBeforeTheObject) {
  api.put(deleting(make_pod("web", "u1", kube::PodPhase::running)));
  manager->says(make_pod("web", "u1", kube::PodPhase::failed), true);
  loop.advance(clock, 1s);
  ASSERT_EQ(api.requests.size(), 2U);
  EXPECT_EQ(api.requests[0].method, "PATCH");
  EXPECT_EQ(api.requests[1].method, "DELETE");
}

TEST_F(StatusManagerTest, AnObjectThatIsNotToGoStays) {
  api.put(make_pod("web", "u1", kube::PodPhase::failed));
  manager->says(make_pod("web", "u1", kube::PodPhase::failed), true);
  loop.advance(clock, 60s);
  EXPECT_EQ(api.count("DELETE"), 0U);
}

TEST_F(StatusManagerTest, WhatHasGoneIsDropped) {
  api.put(make_pod("a", "u1"));
  api.put(make_pod("b", "u2"));
  api.changed = [](auto&&, auto&&) {};  // the watch lags behind
  api.remove("default/a");
  api.put(make_pod("b", "u3"));
  manager->says(make_pod("a", "u1", kube::PodPhase::running), false);
  manager->says(make_pod("b", "u2", kube::PodPhase::running), false);
  loop.advance(clock, 60s);
  EXPECT_EQ(api.requests.size(), 2U) << "404, and 409 for another uid";
  EXPECT_EQ(phase("b"), kube::PodPhase::pending);
  EXPECT_TRUE(manager->settled());
}

TEST_F(StatusManagerTest, AMirrorStandsForItsStaticPod) {
  auto mirror = make_pod("etcd-n1", "m1");
  mirror.metadata.annotations["kubernetes.io/config.mirror"] = "static-uid";
  manager->says(make_pod("etcd-n1", "static-uid", kube::PodPhase::running), false);
  api.put(mirror);
  loop.advance(clock, 1s);
  EXPECT_EQ(phase("etcd-n1"), kube::PodPhase::running);
  EXPECT_THAT(api.requests.back().body, HasSubstr(R"("uid":"m1")"));
  manager->says(make_pod("etcd-n1", "static-uid", kube::PodPhase::succeeded), true);
  api.put(deleting(api.pods.at("default/etcd-n1")));
  loop.advance(clock, 1s);
  EXPECT_EQ(api.count("DELETE"), 0U) << "mirrors have their own keeper";
}

TEST_F(StatusManagerTest, APodInThePlaceOfOneThatWaitedHasOneRequestAtATime) {
  for (int i = 0; i < 8; ++i) {
    const auto name = fmt::format("p{}", i);
    api.put(make_pod(name, name));
    manager->says(make_pod(name, name, kube::PodPhase::running), false);  // as many as go at once
  }
  api.put(make_pod("web", "u1"));
  manager->says(make_pod("web", "u1", kube::PodPhase::running), false);
  manager->says(make_pod("web", "u1", kube::PodPhase::succeeded), true);
  api.remove("default/web");
  api.put(make_pod("web", "u2"));
  manager->says(make_pod("web", "u2", kube::PodPhase::running), false);
  loop.advance(clock, 1s);
  EXPECT_EQ(phase("web"), kube::PodPhase::running);
  EXPECT_EQ(api.requests.size(), 9U);
}

TEST_F(StatusManagerTest, AfterFiveMinutesAwayAllIsRightWithinFiveSeconds) {
  for (int i = 0; i < 100; ++i) {
    api.put(make_pod(fmt::format("p{}", i), fmt::format("u{}", i)));
  }
  api.before = [](const kube::Request&) -> Result<> { return std::unexpected(nobody_answers()); };
  int back = 0;
  manager->on_answer([&back] { ++back; });
  for (int second = 0; second < 300; ++second) {
    for (int i = 0; i < 100; ++i) {
      auto pod = make_pod(fmt::format("p{}", i), fmt::format("u{}", i), kube::PodPhase::running);
      pod.status.message = fmt::format("{}", second);
      manager->says(pod, false);
    }
    loop.advance(clock, 1s);
  }
  EXPECT_LE(api.requests.size(), 8U + 300U) << "no more than one a second";
  EXPECT_GE(api.requests.size(), 140U) << "at least one in two";
  const size_t before = api.requests.size();
  api.before = [](const kube::Request&) { return Result<>(); };
  loop.advance(clock, 5s);
  for (const auto& [name, pod] : api.pods) {
    EXPECT_EQ(pod.status.message, "299") << name;
  }
  EXPECT_EQ(api.requests.size() - before, 100U) << "one request tells of it all";
  EXPECT_EQ(back, 1);
}

TEST_F(StatusManagerTest, ARefusalHoldsUpNoOtherPod) {
  api.put(make_pod("bad", "u1"));
  api.put(make_pod("web", "u2"));
  int refused = 0;
  api.before = [&](const kube::Request& request) -> Result<> {
    return request.path.find("/bad/") != std::string::npos && ++refused < 4
               ? std::unexpected(refusal(500, "InternalError"))
               : Result<>();
  };
  manager->says(make_pod("bad", "u1", kube::PodPhase::running), false);
  manager->says(make_pod("web", "u2", kube::PodPhase::running), false);
  loop.advance(clock, 100ms);
  EXPECT_EQ(phase("web"), kube::PodPhase::running);
  EXPECT_EQ(phase("bad"), kube::PodPhase::pending);
  loop.advance(clock, 12s);
  EXPECT_EQ(phase("bad"), kube::PodPhase::running);
  EXPECT_EQ(refused, 4);
}

}  // namespace
}  // namespace keelson::agent::testing
