// SPDX-License-Identifier: Apache-2.0
// Mirror pods, tokens and events on a small API and a fake clock.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "agent/cluster/event_sender.h"
#include "agent/cluster/mirror_pods.h"
#include "agent/cluster/pod_ledger.h"
#include "agent/cluster/small_api.h"
#include "agent/cluster/token_manager.h"
#include "agent/critical_pod.h"
#include "agent/event_recorder.h"
#include "common/log.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

kube::Pod static_pod(const std::string& uid) {
  kube::Pod pod;
  pod.metadata.name = "etcd-n1";
  pod.metadata.ns = "default";
  pod.metadata.uid = uid;
  pod.spec.containers.emplace_back().name = "c";
  return pod;
}

template <class Part>
class PartTest : public ::testing::Test {
 protected:
  PartTest() { log::set_level(log::Level::off); }
  ~PartTest() override {
    closing.spawn("close", part->close());
    loop.run_until_idle();
    part.reset();
    loop.run_until_idle();
  }
  FakeClock clock;
  Loop loop{clock, "test"};
  SmallApi api{loop};
  TaskGroup closing{loop};
  std::unique_ptr<Part> part;
};

// ---- Requests

Task<> ask_for_an_event(ApiCall call) {
  kube::Request request;
  request.path = object_path("default", "events", "e");
  KEELSON_CO_DO(co_await call(std::move(request), kApiDeadline));
  co_return Result<>();
}

TEST(LimitedTest, RequestsAboveTheBurstWaitTheirTurn) {
  FakeClock clock;
  Loop loop{clock, "test"};
  SmallApi api{loop};
  api.latency = Duration(0);
  const auto call = limited(loop, api.call(), {.per_second = 2, .burst = 3});
  TaskGroup tasks(loop);
  for (int i = 0; i < 7; ++i) {
    tasks.spawn("request", ask_for_an_event(call));
  }
  loop.advance(clock, 1ms);
  EXPECT_EQ(api.requests.size(), 3U);
  loop.advance(clock, 1s);
  EXPECT_EQ(api.requests.size(), 5U);
  loop.advance(clock, 1s);
  EXPECT_EQ(api.requests.size(), 7U);
  EXPECT_EQ(tasks.count(), 0U);
}

// ---- Mirror pods

class MirrorPodsTest : public PartTest<MirrorPods> {
 protected:
  MirrorPodsTest() {
    part = std::make_unique<MirrorPods>(
        loop, api.call(), "n1", 7, [this](const kube::Pod& pod) { made.push_back(pod.metadata.uid); },
        [this](const std::string&) { return alive; });
    api.changed = [this](auto&&, auto&&) { update(); };
  }
  void update() { part->update(statics, api.pods, "node-uid"); }
  void want(std::map<std::string, kube::Pod> pods) {
    statics = std::move(pods);
    update();
    loop.advance(clock, 1s);
  }
  std::string mirror_of() {
    auto it = api.pods.find("default/etcd-n1");
    return it == api.pods.end() ? "none" : it->second.metadata.annotations[kMirrorAnnotation];
  }
  std::map<std::string, kube::Pod> statics;
  std::vector<std::string> made;
  bool alive = false;
};

TEST_F(MirrorPodsTest, OneStandsForEachStaticPod) {
  want({{"default/etcd-n1", static_pod("a")}});
  EXPECT_EQ(mirror_of(), "a");
  EXPECT_EQ(made.size(), 1U);
  const auto& owner = api.pods.at("default/etcd-n1").metadata.owner_references.at(0);
  EXPECT_EQ(owner.kind + " " + owner.name + " " + owner.uid, "Node n1 node-uid");
  loop.advance(clock, 60s);
  EXPECT_EQ(api.requests.size(), 1U);
}

TEST_F(MirrorPodsTest, ItComesBackWhenItIsDeleted) {
  want({{"default/etcd-n1", static_pod("a")}});
  auto doomed = api.pods.at("default/etcd-n1");
  const auto uid = doomed.metadata.uid;
  doomed.metadata.deletion_timestamp = WallTime(1s);
  api.put(doomed);
  loop.advance(clock, 1s);
  EXPECT_EQ(mirror_of(), "none") << "for as long as who has deleted it may look for it";
  loop.advance(clock, 2s);
  EXPECT_EQ(mirror_of(), "a");
  EXPECT_FALSE(api.pods.at("default/etcd-n1").metadata.deletion_timestamp);
  EXPECT_NE(api.pods.at("default/etcd-n1").metadata.uid, uid);
  EXPECT_EQ(api.count("DELETE"), 1U);
  api.remove("default/etcd-n1");
  loop.advance(clock, 1s);
  EXPECT_EQ(mirror_of(), "a");
}

TEST_F(MirrorPodsTest, AnEditMakesAnother) {
  want({{"default/etcd-n1", static_pod("a")}});
  want({{"default/etcd-n1", static_pod("b")}});
  EXPECT_EQ(mirror_of(), "b");
}

TEST_F(MirrorPodsTest, ItGoesAfterTheStaticPodHasGone) {
  want({{"default/etcd-n1", static_pod("a")}});
  alive = true;
  want({});
  EXPECT_EQ(mirror_of(), "a") << "its containers still end";
  alive = false;
  update();
  loop.advance(clock, 1s);
  EXPECT_EQ(mirror_of(), "none");
}

TEST_F(MirrorPodsTest, RefusalsAreTriedSlowlyAndWithoutANodeNothingIs) {
  part->update({{"default/etcd-n1", static_pod("a")}}, {}, "");
  loop.advance(clock, 60s);
  EXPECT_TRUE(api.requests.empty());
  api.before = [](const kube::Request&) -> Result<> { return std::unexpected(refusal(403, "Forbidden")); };
  want({{"default/etcd-n1", static_pod("a")}});
  loop.advance(clock, 100s);
  EXPECT_LE(api.requests.size(), 11U);
  EXPECT_GE(api.requests.size(), 5U);
  api.before = [](const kube::Request&) { return Result<>(); };
  loop.advance(clock, 20s);
  EXPECT_EQ(mirror_of(), "a");
}

// ---- Tokens

class TokenManagerTest : public PartTest<TokenManager> {
 protected:
  TokenManagerTest() {
    part = std::make_unique<TokenManager>(loop, api.call(), 7, [this](const std::string& uid, const TokenMap& tokens) {
      renewed.push_back(uid + " " + tokens.begin()->second);
    });
    api.other = [this](const kube::Request& request) -> Result<std::string> {
      if (refuse) {
        return std::unexpected(refusal(404, "NotFound", "serviceaccounts \"app\" not found"));
      }
      asked = request;
      const auto expires = clock.wall() + life;
      return fmt::format(R"({{"status":{{"token":"token-{}","expirationTimestamp":"{}"}}}})", api.requests.size(),
                         format_rfc3339(expires));
    };
    pod.metadata.name = "web";
    pod.metadata.ns = "shop";
    pod.metadata.uid = "u1";
    pod.spec.service_account_name = "app";
    auto& volume = pod.spec.volumes.emplace_back();
    volume.name = "kube-api-access";
    volume.projected.emplace().sources.emplace_back().service_account_token = {
        .audience = "", .expiration_seconds = 3607, .path = "token"};
  }
  template <class T>
  Result<T> wait_for(Task<T> task) {
    Result<T> got = fail(Kind::internal, "not answered");
    closing_tasks.spawn("get", [](Task<T> asking, Result<T>& into) -> Task<> {
      into = co_await std::move(asking);
      co_return Result<>();
    }(std::move(task), got));
    loop.advance(clock, 100ms);
    return got;
  }
  Result<TokenMap> get() { return wait_for<TokenMap>(part->get(pod)); }
  Result<std::string> get_one(TokenWanted wanted) { return wait_for<std::string>(part->get_one(pod, wanted)); }
  kube::Pod pod;
  kube::Request asked;
  bool refuse = false;
  Duration life = 3607s;
  std::vector<std::string> renewed;
  TaskGroup closing_tasks{loop};
};

TEST_F(TokenManagerTest, BoundToThePodAndAskedForOnce) {
  const auto got = get();
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->begin()->second, "token-1");
  EXPECT_EQ(asked.path, "/api/v1/namespaces/shop/serviceaccounts/app/token");
  EXPECT_EQ(asked.body,
            R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"audiences":[],)"
            R"("expirationSeconds":3607,"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"web","uid":"u1"}}})");
  EXPECT_EQ(get()->begin()->second, "token-1");
  EXPECT_EQ(api.requests.size(), 1U);
}

TEST_F(TokenManagerTest, RenewedAtFourFifthsOfItsLife) {
  ASSERT_TRUE(get());
  loop.advance(clock, 3607s / 5 * 4 - 15s);
  EXPECT_THAT(renewed, ElementsAre());
  loop.advance(clock, 20s);
  EXPECT_THAT(renewed, ElementsAre("u1 token-2"));
  life = 100h;
  loop.advance(clock, 3607s);
  ASSERT_EQ(renewed.size(), 2U);
  loop.advance(clock, 24h);
  EXPECT_EQ(renewed.size(), 3U) << "none is older than a day";
}

TEST_F(TokenManagerTest, ARenewalThatFailsIsTriedAgain) {
  ASSERT_TRUE(get());
  refuse = true;
  loop.advance(clock, 3000s);
  EXPECT_THAT(renewed, ElementsAre());
  EXPECT_LE(api.requests.size(), 15U);
  refuse = false;
  loop.advance(clock, 20s);
  EXPECT_EQ(renewed.size(), 1U);
}

TEST_F(TokenManagerTest, AFailureIsTheTextOfAnEvent) {
  refuse = true;
  EXPECT_EQ(get().error().message(),
            "MountVolume.SetUp failed for volume \"kube-api-access\" : failed to fetch token: 404: serviceaccounts "
            "\"app\" not found");
  api.other = [](const kube::Request&) { return Result<std::string>(R"({"status":{"token":"canary"}})"); };
  EXPECT_THAT(get().error().message(), Not(HasSubstr("canary")));
}

TEST_F(TokenManagerTest, OneForAPullIsBoundToThePodAndKeptUntilItIsOld) {
  const TokenWanted wanted{.audience = "registry", .account_uid = "sa1"};
  EXPECT_EQ(*get_one(wanted), "token-1");
  EXPECT_EQ(asked.path, "/api/v1/namespaces/shop/serviceaccounts/app/token");
  EXPECT_EQ(asked.body, R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","metadata":{"uid":"sa1"},)"
                        R"("spec":{"audiences":["registry"],)"
                        R"("boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"web","uid":"u1"}}})");
  EXPECT_EQ(*get_one(wanted), "token-1");
  EXPECT_EQ(*get_one({.audience = "registry", .account_uid = "sa2"}), "token-2") << "another account";
  loop.advance(clock, 3000s);
  EXPECT_EQ(api.requests.size(), 2U) << "nobody renews it by itself";
  EXPECT_EQ(*get_one(wanted), "token-3");
  refuse = true;
  loop.advance(clock, 3000s);
  EXPECT_EQ(*get_one(wanted), "token-3") << "still good";
  loop.advance(clock, 700s);
  EXPECT_EQ(get_one(wanted).error().message(), "failed to fetch token: 404: serviceaccounts \"app\" not found");
  refuse = false;
  EXPECT_EQ(*get_one(wanted), "token-6");
  part->forget("u1");
  EXPECT_EQ(*get_one(wanted), "token-7");
}

TEST_F(TokenManagerTest, AnAccountIsAskedFor) {
  api.other = [this](const kube::Request& request) -> Result<std::string> {
    asked = request;
    return R"({"kind":"ServiceAccount","metadata":{"uid":"sa1","annotations":{"role":"puller"}}})";
  };
  const auto account = wait_for<ServiceAccount>(part->account(pod));
  ASSERT_TRUE(account) << account.error().message();
  EXPECT_EQ(asked.method + " " + asked.path, "GET /api/v1/namespaces/shop/serviceaccounts/app");
  EXPECT_EQ(account->uid, "sa1");
  EXPECT_EQ(account->annotations, (kube::StringMap{{"role", "puller"}}));
  api.other = [](const kube::Request&) { return Result<std::string>("{}"); };
  EXPECT_EQ(wait_for<ServiceAccount>(part->account(pod)).error().message(),
            "the API server's answer holds no service account");
}

TEST_F(TokenManagerTest, AForgottenPodsTokensAreNotRenewed) {
  ASSERT_TRUE(get());
  part->forget("u1");
  loop.advance(clock, 10h);
  EXPECT_EQ(api.requests.size(), 1U);
}

// ---- Events

class EventSenderTest : public PartTest<EventSender> {
 protected:
  EventSenderTest() {
    part = std::make_unique<EventSender>(loop, api.call(), 7, EventLimits(), [this] { return others; });
  }
  static kube::Event event(const std::string& name, int count = 1, const std::string& pod = "web") {
    kube::Event made;
    made.metadata.name = name;
    made.metadata.ns = "default";
    made.involved_object.kind = "Pod";
    made.involved_object.name = pod;
    made.count = count;
    return made;
  }
  std::vector<std::string> told() {
    std::vector<std::string> all;
    for (const auto& request : api.requests) {
      all.push_back(request.method + " " + request.path.substr(request.path.rfind('/') + 1));
    }
    return all;
  }
  bool others = false;
};

TEST_F(EventSenderTest, WhatIsUrgentGoesFirstButForThreeSeconds) {
  others = true;
  part->send(event("a"));
  loop.advance(clock, 500ms);
  EXPECT_THAT(told(), ElementsAre());
  others = false;
  loop.advance(clock, 100ms);
  EXPECT_THAT(told(), ElementsAre("POST events"));
  others = true;
  part->send(event("b"));
  loop.advance(clock, 2900ms);
  EXPECT_EQ(api.requests.size(), 1U);
  loop.advance(clock, 200ms);
  EXPECT_EQ(api.requests.size(), 2U) << "it is told all the same";
}

TEST_F(EventSenderTest, RepeatsAreCounted) {
  part->send(event("a"));
  loop.advance(clock, 1s);
  part->send(event("a", 2));
  loop.advance(clock, 1s);
  EXPECT_THAT(told(), ElementsAre("POST events", "PATCH a"));
  EXPECT_THAT(api.requests.back().body, HasSubstr(R"("count":2)"));
}

TEST_F(EventSenderTest, ManyThatAreAlikeAreToldAsOne) {
  const auto alike = [](int i) {
    auto made = event(fmt::format("e{}", i));
    made.reason = "Unhealthy";
    made.message = fmt::format("probe failed: {}", i);
    return made;
  };
  for (int i = 1; i <= 12; ++i) {
    part->send(alike(i));
    loop.advance(clock, 1s);
  }
  ASSERT_EQ(api.requests.size(), 12U);
  EXPECT_EQ(api.count("POST"), 10U) << "nine alone, and the one for all others";
  EXPECT_THAT(api.requests[8].body, HasSubstr(R"("message":"probe failed: 9")"));
  EXPECT_THAT(api.requests[9].body, HasSubstr(R"("message":"(combined from similar events): probe failed: 10")"));
  EXPECT_THAT(api.requests[11].body, HasSubstr(R"("count":3)"));
  EXPECT_THAT(api.requests[11].body, HasSubstr(R"((combined from similar events): probe failed: 12")"));
  loop.advance(clock, 11min);
  part->send(alike(13));
  loop.advance(clock, 1s);
  EXPECT_THAT(api.requests[12].body, HasSubstr(R"("message":"probe failed: 13")")) << "long after, it is new";
}

TEST_F(EventSenderTest, WhoReportsIsTold) {
  EventRecorder recorder(clock, "n1");
  recorder.on_event([this](const kube::Event& made) { part->send(made); });
  recorder.record({.pod = {.name = "web", .ns = "default"}, .container = {}}, EventType::normal, "Pulled",
                  "it is here");
  loop.advance(clock, 1s);
  EXPECT_THAT(api.requests[0].body, HasSubstr(R"("source":{"component":"kubelet","host":"n1"})"));
  EXPECT_THAT(api.requests[0].body, HasSubstr(R"("reportingComponent":"kubelet")"));
  EXPECT_THAT(api.requests[0].body, HasSubstr(R"("reportingInstance":"n1")"));
}

TEST_F(EventSenderTest, WhatTheApiHasForgottenIsToldAnew) {
  part->send(event("a"));
  loop.advance(clock, 1s);
  api.other = [](const kube::Request& request) -> Result<std::string> {
    return request.method == "PATCH" ? std::unexpected(refusal(404, "NotFound")) : Result<std::string>("{}");
  };
  part->send(event("a", 2));
  loop.advance(clock, 1s);
  EXPECT_THAT(told(), ElementsAre("POST events", "PATCH a", "POST events"));
}

TEST_F(EventSenderTest, WhileTheApiIsAwayTheLatestOfEachWaits) {
  api.before = [](const kube::Request&) -> Result<> { return std::unexpected(nobody_answers()); };
  for (int i = 0; i < 3000; ++i) {
    part->send(event(fmt::format("e{}", i), 1, fmt::format("pod-{}", i)));
    part->send(event(fmt::format("e{}", i), 2, fmt::format("pod-{}", i)));
    loop.advance(clock, 100ms);
  }
  EXPECT_LE(part->waiting(), 1001U) << "bounded";
  EXPECT_LE(api.requests.size(), 151U) << "one in 2 to 4 s";
  api.before = [](const kube::Request&) { return Result<>(); };
  const size_t before = api.requests.size();
  loop.advance(clock, 10s);
  EXPECT_LE(api.requests.size() - before, 100U + 10 * 50) << "not all at once";
  loop.advance(clock, 60s);
  EXPECT_EQ(part->waiting(), 0U);
}

TEST_F(EventSenderTest, OnePodCannotFillTheApi) {
  for (int i = 0; i < 600; ++i) {
    part->send(event(fmt::format("e{}", i)));
    loop.advance(clock, 1s);
  }
  EXPECT_LE(api.requests.size(), 25U + 3U);
  EXPECT_GE(api.requests.size(), 25U);
}

TEST_F(EventSenderTest, WhatIsRefusedIsDropped) {
  api.before = [](const kube::Request&) -> Result<> {
    return std::unexpected(refusal(403, "Forbidden", "the namespace is being terminated"));
  };
  part->send(event("a"));
  loop.advance(clock, 60s);
  EXPECT_EQ(api.requests.size(), 1U);
  EXPECT_EQ(part->waiting(), 0U);
}

}  // namespace
}  // namespace keelson::agent
