// SPDX-License-Identifier: Apache-2.0
// What the agent tells of its workers and pods, under the kubelet's names.
#include <gmock/gmock.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include "agent/agent_fixture.h"

namespace keelson::agent::testing {
namespace {

class AgentStatsTest : public AgentTest {
 protected:
  /// Without a value: there is no such row.
  StatSample sample(const std::string& name, const StatLabels& labels = {}) {
    Stats stats;
    agent->collect(stats);
    const auto family = stats.families().find(name);
    for (const auto& sample : family != stats.families().end() ? family->second.samples : std::vector<StatSample>()) {
      if (sample.labels == labels) {
        return sample;
      }
    }
    return {};
  }
  /// Of a histogram, how many were observed; 0: there is no such row.
  double value(const std::string& name, const StatLabels& labels = {}) {
    const auto found = sample(name, labels);
    return found.histogram.empty() ? found.value : static_cast<double>(found.histogram[0].count());
  }
  double passes(const char* operation) {
    return value("kubelet_pod_worker_duration_seconds", {{"operation_type", operation}});
  }
  double working(const char* config, const char* lifecycle) {
    return value("kubelet_working_pods", {{"config", config}, {"lifecycle", lifecycle}, {"static", ""}});
  }
};

TEST_F(AgentStatsTest, AWorkersPassesAreCountedByWhatTheyAreFor) {
  auto web = make_pod("web", "u1");
  want({web});
  EXPECT_EQ(passes("create"), 1);
  EXPECT_EQ(passes("update"), 0);
  EXPECT_GE(passes("sync"), 1) << "the runtime had news";
  web.metadata.labels["tier"] = "front";
  want({web});
  EXPECT_EQ(passes("update"), 1);
  EXPECT_EQ(passes("kill"), 0);
  want({});
  loop.advance(clock, 60s);
  EXPECT_GE(passes("kill"), 1);
  EXPECT_EQ(passes("terminated"), 1);
  EXPECT_EQ(passes("create"), 1);
}

TEST_F(AgentStatsTest, StartsAndTheirFailuresAreCountedByTheirKind) {
  auto web = make_pod("web", "u1", {"main", "bad"});
  web.spec.containers[1].image = "missing";
  kube::Container first;
  first.name = "first";
  first.image = "img";
  web.spec.init_containers.push_back(first);
  world.exits_with["first"] = 0;
  want({web});
  loop.advance(clock, 5s);
  EXPECT_EQ(value("kubelet_started_pods_total"), 1);
  EXPECT_EQ(value("kubelet_started_pods_errors_total"), 0);
  EXPECT_EQ(value("kubelet_started_containers_total", {{"container_type", "init_container"}}), 1);
  EXPECT_EQ(value("kubelet_started_containers_total", {{"container_type", "container"}}), 2);
  EXPECT_EQ(
      value("kubelet_started_containers_errors_total", {{"code", "ErrImagePull"}, {"container_type", "container"}}), 1);
  EXPECT_EQ(value("kubelet_image_pull_duration_seconds", {{"image_size_in_bytes", "0-10MB"}}), 1)
      << "of one that was pulled";
  EXPECT_EQ(value("kubelet_containers_per_pod_count"), 1);
}

TEST_F(AgentStatsTest, ASandboxThatFailsIsCounted) {
  world.before_call = [](std::string_view call) {
    return call.starts_with("create_sandbox") ? Result<>(fail(Kind::internal, "no")) : Result<>();
  };
  want({make_pod("web", "u1")});
  EXPECT_EQ(value("kubelet_started_pods_total"), 1);
  EXPECT_EQ(value("kubelet_started_pods_errors_total"), 1);
}

TEST_F(AgentStatsTest, WhatAPodDoesNotGetIsTold) {
  world.odd = {{"MissingClusterDNS", "there is none"}};
  want({make_pod("web", "u1")});
  EXPECT_EQ(reasons("web").front(), "MissingClusterDNS");
}

TEST_F(AgentStatsTest, PodsAreCountedByWhetherTheyAreWanted) {
  want({make_pod("web", "u1"), make_pod("db", "u2")});
  EXPECT_EQ(value("kubelet_desired_pods", {{"static", ""}}), 2);
  EXPECT_EQ(value("kubelet_active_pods", {{"static", ""}}), 2);
  EXPECT_EQ(working("desired", "sync"), 2);
  world.stop_takes = 20s;
  want({make_pod("web", "u1")});
  EXPECT_EQ(value("kubelet_desired_pods", {{"static", ""}}), 1);
  EXPECT_EQ(working("desired", "sync"), 1);
  EXPECT_EQ(working("orphan", "terminating"), 1);
}

TEST_F(AgentStatsTest, HowLongAPodWaitsForItsWorkerIsTold) {
  const auto starts = [this] { return sample("kubelet_pod_worker_start_duration_seconds").histogram.at(0); };
  want({make_pod("web", "u1")});
  EXPECT_EQ(starts().count(), 1U);
  EXPECT_EQ(starts().sum(), 0);
  world.stop_takes = 20s;
  want({make_pod("web", "u2")});
  EXPECT_EQ(starts().count(), 1U) << "the old pod of its name has not ended";
  want({make_pod("web", "u2")});
  loop.advance(clock, 60s);
  EXPECT_EQ(starts().count(), 2U);
  EXPECT_EQ(starts().sum(), 20) << "since it was wanted first";
}

TEST_F(AgentStatsTest, EphemeralContainersOfWantedPodsAreCounted) {
  auto web = make_pod("web", "u1");
  for (const char* name : {"look", "listen"}) {
    web.spec.ephemeral_containers.push_back(
        {.container = make_pod("", "", {name}).spec.containers[0], .target_container_name = {}});
  }
  want({web, make_pod("db", "u2")});
  EXPECT_EQ(value("kubelet_managed_ephemeral_containers"), 2);
  want({make_pod("db", "u2")});
  EXPECT_EQ(value("kubelet_managed_ephemeral_containers"), 0);
}

TEST_F(AgentStatsTest, PodsWithAUserNamespaceAreCountedAndFailOnceWithWhatTheyStart) {
  const auto tried = [this] { return value("kubelet_started_user_namespaced_pods_total"); };
  const auto failed = [this] { return value("kubelet_started_user_namespaced_pods_errors_total"); };
  const auto own_users = [](const std::string& name, const std::string& uid, const std::string& image) {
    auto pod = make_pod(name, uid);
    pod.spec.host_users = false;
    pod.spec.containers[0].image = image;
    return pod;
  };
  auto shared = make_pod("shared", "u1");
  shared.spec.containers[0].image = "missing";
  want({shared});
  EXPECT_EQ(tried(), 0);
  want({shared, own_users("good", "u2", "img")});
  EXPECT_EQ(tried(), 1);
  EXPECT_EQ(failed(), 0);
  want({shared, own_users("good", "u2", "img"), own_users("bad", "u3", "missing")});
  loop.advance(clock, 60s);
  EXPECT_EQ(tried(), 2);
  EXPECT_EQ(failed(), 1) << "the pull is tried again, and is not the start of a pod";
  world.before_call = [](std::string_view call) {
    return call.starts_with("create_sandbox") ? Result<>(fail(Kind::internal, "no")) : Result<>();
  };
  want({own_users("none", "u4", "img")});
  EXPECT_EQ(tried(), 3);
  EXPECT_EQ(failed(), 2);
}

TEST_F(AgentStatsTest, APauseOfAHookThatEndsEarlyIsCounted) {
  const auto cut = [this] { return value("kubelet_sleep_action_terminated_early_total"); };
  const auto with_pause = [](const std::string& uid, std::optional<int64_t> deleted_within = std::nullopt) {
    auto pod = make_pod("web", uid);
    pod.spec.containers[0].lifecycle.emplace().pre_stop.emplace().sleep = kube::SleepAction{10};
    if (deleted_within) {
      pod.metadata.deletion_timestamp = WallTime(1s);
      pod.metadata.deletion_grace_period_seconds = deleted_within;
    }
    return pod;
  };
  want({with_pause("u1")});
  want({});
  loop.advance(clock, 60s);
  EXPECT_EQ(cut(), 0) << "it had its time";
  want({with_pause("u2")});
  want({with_pause("u2", 30)});
  EXPECT_EQ(cut(), 0);
  want({with_pause("u2", 2)});
  EXPECT_EQ(cut(), 1) << "a shorter grace";
  want({});
  loop.advance(clock, 60s);
  want({with_pause("u3")});
  want({with_pause("u3", 4)});
  loop.advance(clock, 3s);
  EXPECT_EQ(cut(), 1);
  loop.advance(clock, 2s);
  EXPECT_EQ(cut(), 2) << "the grace is over";
}

using asio::ip::tcp;

/// Whatever it is asked, and by whatever protocol.
Task<> answer_by_http(std::shared_ptr<tcp::acceptor> acceptor) {
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  while (true) {
    auto [error, socket] = co_await acceptor->async_accept(use_result);
    if (error) {
      co_return fail(Kind::cancelled, "closed");
    }
    std::array<char, 4096> asked{};
    co_await socket.async_read_some(asio::buffer(asked), use_result);
    co_await asio::async_write(socket, asio::buffer(answer), use_result);
  }
}

TEST_F(AgentStatsTest, AHookThatFellBackToHttpIsCountedAndTold) {
  const tcp::endpoint anywhere(asio::ip::address_v4::loopback(), 0);
  auto acceptor = std::make_shared<tcp::acceptor>(loop.io(), anywhere);
  group->spawn("server", answer_by_http(acceptor));
  auto web = make_pod("web", "u1");
  auto& hook = web.spec.containers[0].lifecycle.emplace().post_start.emplace().http_get.emplace();
  hook.scheme = kube::UriScheme::https;
  hook.host = "127.0.0.1";
  hook.port = kube::IntOrString(acceptor->local_endpoint().port());
  want({web});
  while (!is_ready(pod("web").status)) {
    loop.io().restart();
    loop.io().run_one();
  }
  EXPECT_EQ(value("kubelet_lifecycle_handler_http_fallbacks_total"), 1);
  EXPECT_THAT(reasons("web"), ::testing::Contains("LifecycleHTTPFallback"));
  acceptor->close();
  loop.run_until_idle();
}

TEST_F(AgentStatsTest, ImagesAreOfTheKubeletsSizes) {
  WorkerStats workers;
  constexpr uint64_t kMiB = 1 << 20;
  for (const uint64_t size : {uint64_t{0}, uint64_t{1}, 10 * kMiB, 10 * kMiB + 1, 101 * 1024 * kMiB}) {
    workers.pulled(size, 2s);
  }
  Stats stats;
  workers.collect(stats);
  std::map<std::string, uint64_t> counts;
  for (const auto& row : stats.families().at("kubelet_image_pull_duration_seconds").samples) {
    counts[row.labels.at(0).second] = row.histogram.at(0).count();
  }
  EXPECT_EQ(counts, (std::map<std::string, uint64_t>{{"N/A", 1}, {"0-10MB", 2}, {"10MB-100MB", 1}, {"GT100GB", 1}}));
}

/// As the kubelet does of folders of pods that have gone.
TEST_F(AgentStatsTest, OrphansAreToldByTheLastLookAndThoseThatStayAsErrors) {
  const auto told = [this] {
    return std::pair(value("kubelet_orphan_pod_cleaned_volumes"), value("kubelet_orphan_pod_cleaned_volumes_errors"));
  };
  want({});
  EXPECT_EQ(told(), std::pair(0.0, 0.0));
  world.prepared = {"u1", "u2"};
  world.before_call = [this](std::string_view call) {
    return call == "clean_up" && world.prepared.size() == 1 ? Result<>(fail(Kind::internal, "busy")) : Result<>();
  };
  loop.advance(clock, 31s);
  EXPECT_EQ(told(), std::pair(2.0, 0.0));
  EXPECT_EQ(world.prepared.size(), 1U);
  loop.advance(clock, 30s);
  EXPECT_EQ(told(), std::pair(1.0, 1.0)) << "it is still there";
  world.before_call = [](std::string_view) { return Result<>(); };
  loop.advance(clock, 400s);
  EXPECT_TRUE(world.prepared.empty());
  EXPECT_EQ(told(), std::pair(0.0, 0.0));
}

}  // namespace
}  // namespace keelson::agent::testing
