// SPDX-License-Identifier: Apache-2.0
// What is wanted, when it is complete, and who is judged.
#include "agent/cluster/pod_ledger.h"

#include <gmock/gmock.h>

#include "agent/critical_pod.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;

constexpr WallTime kNow(1'700'000'000s);

kube::Pod make_pod(const std::string& name, const std::string& uid, int cpu = 0) {
  kube::Pod pod;
  pod.metadata.name = name;
  pod.metadata.ns = "default";
  pod.metadata.uid = uid;
  auto& container = pod.spec.containers.emplace_back();
  container.name = "c";
  if (cpu > 0) {
    container.resources.requests["cpu"] = kube::Quantity::of(cpu);
  }
  return pod;
}

kube::OwnNode make_node() {
  kube::OwnNode node;
  node.metadata.name = "n1";
  node.metadata.uid = "node-uid";
  return node;
}

class PodLedgerTest : public ::testing::Test {
 protected:
  static LedgerOptions options(bool manifests = false) {
    return {
        .node_name = "n1", .has_manifests = manifests, .allocatable = {{"cpu", kube::Quantity::of(4)}}, .labels = {}};
  }
  kube::DesiredState wanted() { return ledger.wanted(kNow); }
  std::string reason(const std::string& name) { return wanted().pods.at("default/" + name).status.reason; }

  PodLedger ledger{options()};
};

TEST_F(PodLedgerTest, NothingIsCompleteBeforeAllIsRead) {
  ledger = PodLedger(options(true));
  EXPECT_FALSE(wanted().complete);
  ledger.synced({make_pod("web", "u1")}, false);
  EXPECT_THAT(wanted().pods, IsEmpty()) << "cannot be judged yet";
  ledger.node_is(make_node());
  EXPECT_THAT(wanted().pods, ElementsAre(Key("default/web")));
  EXPECT_FALSE(wanted().complete);
  ledger.manifests({}, kNow);
  EXPECT_TRUE(wanted().complete);
  ledger.synced({}, true);
  EXPECT_FALSE(wanted().complete) << "a pod that cannot be read is not unwanted";
}

TEST_F(PodLedgerTest, StaticPodsStandUnderTheNodesName) {
  ledger = PodLedger(options(true));
  kube::DesiredState folder;
  folder.pods["default/etcd"] = make_pod("etcd", "hash");
  folder.config_maps["default/c"].data["k"] = "v";
  ledger.manifests(folder, kNow);
  const auto state = wanted();
  EXPECT_FALSE(state.complete) << "the API has not been heard";
  ASSERT_THAT(state.pods, ElementsAre(Key("default/etcd-n1")));
  const auto& pod = state.pods.at("default/etcd-n1");
  EXPECT_EQ(pod.metadata.annotations,
            (kube::StringMap{{"kubernetes.io/config.source", "file"},
                             {"kubernetes.io/config.hash", "hash"},
                             {"kubernetes.io/config.seen", "2023-11-14T22:13:20.000000000Z"}}));
  EXPECT_EQ(pod.spec.node_name, "n1");
  EXPECT_THAT(state.config_maps, ElementsAre(Key("default/c")));
  ledger.manifests(folder, kNow + 1h);
  EXPECT_EQ(wanted().pods.at("default/etcd-n1").metadata, pod.metadata) << "seen when it was seen first";
}

TEST_F(PodLedgerTest, StaticPodsOfAUrlAreNotOfAFile) {
  ledger = PodLedger(options(true));
  kube::DesiredState manifests;
  manifests.pods["default/etcd"] = make_pod("etcd", "s1");
  manifests.complete = false;
  ledger.manifests(manifests, kNow);
  ledger.synced({}, false);
  ledger.node_is(make_node());
  EXPECT_THAT(wanted().pods, ElementsAre(Key("default/etcd-n1"))) << "it waits for no URL";
  EXPECT_FALSE(wanted().complete) << "what the URL wants may run from before";
  manifests.pods["default/proxy"] = make_pod("proxy", "s2");
  manifests.of_url = {"default/proxy"};
  manifests.complete = true;
  ledger.manifests(manifests, kNow);
  EXPECT_TRUE(wanted().complete);
  const auto pods = wanted().pods;
  EXPECT_EQ(pods.at("default/etcd-n1").metadata.annotations.at("kubernetes.io/config.source"), "file");
  EXPECT_EQ(pods.at("default/etcd-n1").spec.tolerations.size(), 1U);
  EXPECT_EQ(pods.at("default/proxy-n1").metadata.annotations.at("kubernetes.io/config.source"), "http");
  EXPECT_THAT(pods.at("default/proxy-n1").spec.tolerations, IsEmpty());
}

TEST_F(PodLedgerTest, StaticPodsAreJudgedToo) {
  ledger = PodLedger(options(true));
  const auto with_port = [](kube::Pod pod) {
    pod.spec.containers[0].ports.push_back({.name = "", .host_port = 80, .container_port = 80, .host_ip = ""});
    return pod;
  };
  kube::DesiredState folder;
  folder.pods["default/first"] = with_port(make_pod("first", "s1"));
  ledger.adopt({"s1"});
  ledger.synced({make_pod("web", "u1", 3)}, false);
  ledger.manifests(folder, kNow);
  ledger.node_is(make_node());
  EXPECT_THAT(wanted().pods, ElementsAre(Key("default/first-n1"), Key("default/web")));
  folder.pods["default/second"] = with_port(make_pod("second", "s2"));
  folder.pods["default/third"] = make_pod("third", "s3", 2);
  ledger.manifests(folder, kNow);
  EXPECT_THAT(wanted().pods, ElementsAre(Key("default/first-n1"), Key("default/second-n1"), Key("default/web")))
      << "the third waits for room";
  EXPECT_EQ(reason("first-n1"), "") << "it ran before";
  EXPECT_EQ(reason("second-n1"), "NodePorts");
  EXPECT_EQ(ledger.take_rejected().size(), 1U);
  const auto preempted = ledger.take_preempted();
  ASSERT_EQ(preempted.size(), 1U);
  EXPECT_EQ(preempted[0].pod.metadata.name, "web");
  EXPECT_TRUE(ledger.stopped("u1"));
  EXPECT_EQ(reason("third-n1"), "");
  folder.pods["default/second"] = make_pod("second", "s4");
  ledger.manifests(folder, kNow);
  EXPECT_EQ(reason("second-n1"), "") << "another one";
}

TEST_F(PodLedgerTest, ExtendedResourcesAreTheApisNodes) {
  auto node = make_node();
  node.allocatable["example.com/dongle"] = kube::Quantity::of(1);
  EXPECT_TRUE(ledger.node_is(node));
  EXPECT_FALSE(ledger.node_is(node)) << "nothing new";
  auto one = make_pod("a", "u1", 1);
  auto other = make_pod("b", "u2", 1);
  for (auto* pod : {&one, &other}) {
    pod->spec.containers[0].resources.requests["example.com/dongle"] = kube::Quantity::of(1);
  }
  ledger.synced({one, other}, false);
  EXPECT_EQ(reason("a"), "");
  EXPECT_EQ(reason("b"), "OutOfexample.com/dongle");
  node.allocatable["example.com/dongle"] = kube::Quantity::of(3);
  EXPECT_TRUE(ledger.node_is(node));
  other.metadata.name = "c";
  other.metadata.uid = "u3";
  ledger.changed({.changed = {other}, .removed = {}});
  EXPECT_EQ(reason("c"), "");
}

TEST_F(PodLedgerTest, WhatAllottersGiveIsNotJudgedByTheApisNode) {
  ledger = PodLedger(options(true));
  auto node = make_node();
  node.allocatable["example.com/dongle"] = kube::Quantity::of(0);
  ledger.node_is(node);
  const auto wants = [](const std::string& name, const std::string& uid) {
    auto pod = make_pod(name, uid);
    pod.spec.containers[0].resources.requests["example.com/dongle"] = kube::Quantity::of(1);
    return pod;
  };
  kube::DesiredState folder;
  folder.pods["default/static"] = wants("static", "s1");
  ledger.manifests(folder, kNow);
  ledger.synced({wants("a", "u1")}, false);
  EXPECT_EQ(reason("a"), "OutOfexample.com/dongle") << "the plugin has gone, and the node has none of it any more";
  EXPECT_EQ(reason("static-n1"), "UnexpectedAdmissionError") << "it is critical, and nobody has one to give up";
  ledger.allotted_are({"example.com/dongle"});
  folder.pods["default/static"] = wants("static", "s2");
  ledger.manifests(folder, kNow);
  ledger.changed({.changed = {wants("b", "u2")}, .removed = {}});
  EXPECT_EQ(reason("b"), "") << "the Node may be behind the plugin that is back";
  EXPECT_EQ(reason("static-n1"), "");
}

TEST_F(PodLedgerTest, TheEndOfAnOlderPodOfThatNameIsNotANewersEnd) {
  ledger.node_is(make_node());
  ledger.synced({make_pod("web", "u2")}, false);
  EXPECT_FALSE(ledger.changed({.changed = {}, .removed = {{.name = "default/web", .uid = "u1"}}}));
  EXPECT_THAT(wanted().pods, ElementsAre(Key("default/web")));
  EXPECT_TRUE(ledger.changed({.changed = {}, .removed = {{.name = "default/web", .uid = "u2"}}}));
  EXPECT_THAT(wanted().pods, IsEmpty());
}

TEST_F(PodLedgerTest, MirrorsAreNotRun) {
  auto mirror = make_pod("etcd-n1", "m1");
  mirror.metadata.annotations[kMirrorAnnotation] = "hash";
  ledger.node_is(make_node());
  ledger.synced({mirror}, false);
  EXPECT_THAT(wanted().pods, IsEmpty());
  EXPECT_THAT(ledger.mirrors(), ElementsAre(Key("default/etcd-n1")));
  EXPECT_TRUE(ledger.changed({.changed = {}, .removed = {{.name = "default/etcd-n1"}}}));
  EXPECT_THAT(ledger.mirrors(), IsEmpty());
}

TEST_F(PodLedgerTest, TheFirstToComeGetTheRoom) {
  ledger.node_is(make_node());
  auto first = make_pod("z", "u1", 3);
  auto second = make_pod("a", "u2", 3);
  first.metadata.creation_timestamp = kNow;
  second.metadata.creation_timestamp = kNow + 1s;
  ledger.synced({second, first}, false);
  const auto state = wanted();
  EXPECT_EQ(state.pods.at("default/z").status.phase, std::nullopt);
  const auto& refused = state.pods.at("default/a").status;
  EXPECT_EQ(refused.phase, kube::PodPhase::failed);
  EXPECT_EQ(refused.reason, "OutOfcpu");
  EXPECT_THAT(refused.message, HasSubstr("Pod was rejected: Node didn't have enough resource: cpu, requested: 3000"));
  EXPECT_EQ(ledger.take_rejected().size(), 1U);
  EXPECT_EQ(reason("a"), "OutOfcpu") << "for good";
  EXPECT_THAT(ledger.take_rejected(), IsEmpty()) << "told once";
  ledger.changed({.changed = {make_pod("b", "u3", 1)}, .removed = {}});
  EXPECT_EQ(reason("b"), "") << "what was refused takes no room";
}

TEST_F(PodLedgerTest, WhatANodeHasAcceptedIsNotJudgedAgain) {
  auto node = make_node();
  node.taints = {{.key = "k", .value = "", .effect = "NoExecute", .time_added = {}}};
  ledger.adopt({"u1"});
  ledger.node_is(node);
  auto started = make_pod("started", "u2");
  started.status.start_time = kNow;
  ledger.synced({make_pod("running", "u1"), started, make_pod("new", "u3")}, false);
  EXPECT_EQ(reason("running"), "") << "the runtime has it";
  EXPECT_EQ(reason("started"), "") << "the API says so";
  EXPECT_EQ(reason("new"), "TaintToleration");
}

TEST_F(PodLedgerTest, WhatHasEndedHereIsNotWantedAgain) {
  ledger.node_is(make_node());
  ledger.synced({make_pod("web", "u1", 4)}, false);
  ASSERT_THAT(wanted().pods, ElementsAre(Key("default/web")));
  ledger.ended("u1");
  EXPECT_THAT(wanted().pods, IsEmpty());
  ledger.changed({.changed = {make_pod("other", "u2", 4)}, .removed = {}});
  EXPECT_EQ(reason("other"), "") << "and takes no room";
  ledger.changed({.changed = {make_pod("web", "u3")}, .removed = {}});
  EXPECT_TRUE(wanted().pods.contains("default/web")) << "another pod of the name";
}

TEST_F(PodLedgerTest, OurOwnWordsAreNoNews) {
  ledger.node_is(make_node());
  auto pod = make_pod("web", "u1");
  ledger.synced({pod}, false);
  pod.metadata.resource_version = "7";
  pod.status.phase = kube::PodPhase::running;
  kube::PodCondition condition;
  condition.type = "Ready";
  pod.status.conditions = {condition};
  EXPECT_FALSE(ledger.changed({.changed = {pod}, .removed = {}}));
  condition.type = "example.com/gate";
  pod.status.conditions.push_back(condition);
  EXPECT_TRUE(ledger.changed({.changed = {pod}, .removed = {}}));
  pod.metadata.deletion_timestamp = kNow;
  EXPECT_TRUE(ledger.changed({.changed = {pod}, .removed = {}}));
  pod.status.phase = kube::PodPhase::failed;
  EXPECT_TRUE(ledger.changed({.changed = {pod}, .removed = {}})) << "somebody ended it";
}

TEST_F(PodLedgerTest, OnlyWhatRunsIsReferredTo) {
  ledger.node_is(make_node());
  auto pod = make_pod("web", "u1");
  pod.spec.image_pull_secrets = {"registry"};
  pod.spec.volumes.emplace_back().config_map.emplace().name = "settings";
  auto& sources = pod.spec.volumes.emplace_back().projected.emplace().sources;
  sources.emplace_back().config_map.emplace().name = "kube-root-ca.crt";
  sources.emplace_back().secret.emplace().name = "key";
  pod.spec.containers[0].env_from.emplace_back().secret_ref.emplace().name = "env";
  pod.spec.containers[0].env.emplace_back().value_from.emplace().config_map_key_ref.emplace().name = "one";
  ledger.synced({pod}, false);
  EXPECT_THAT(ledger.references().config_maps, IsEmpty()) << "not judged yet";
  wanted();
  const auto references = ledger.references();
  EXPECT_THAT(references.config_maps, ElementsAre(ObjectScope{"default", "kube-root-ca.crt"},
                                                  ObjectScope{"default", "one"}, ObjectScope{"default", "settings"}));
  EXPECT_THAT(references.secrets, ElementsAre(ObjectScope{"default", "env"}, ObjectScope{"default", "key"},
                                              ObjectScope{"default", "registry"}));
  EXPECT_THAT(references.services, ElementsAre(ObjectScope{"default", ""}));
  pod.status.phase = kube::PodPhase::succeeded;
  ledger.changed({.changed = {pod}, .removed = {}});
  EXPECT_THAT(ledger.references().secrets, IsEmpty());
}

TEST_F(PodLedgerTest, ACriticalPodWaitsForThoseThatMakeRoomForIt) {
  ledger.node_is(make_node());
  ledger.synced({make_pod("small", "u1", 1), make_pod("big", "u2", 3)}, false);
  EXPECT_EQ(wanted().pods.size(), 2U);
  auto critical = make_pod("critical", "u3", 2);
  critical.spec.priority = 2'000'000'000;
  ledger.changed({.changed = {critical}, .removed = {}});
  EXPECT_THAT(wanted().pods, ElementsAre(Key("default/big"), Key("default/small"))) << "not yet";
  const auto preempted = ledger.take_preempted();
  ASSERT_EQ(preempted.size(), 1U);
  EXPECT_EQ(preempted[0].pod.metadata.name + " " + preempted[0].resource, "big cpu");
  EXPECT_EQ(wanted().pods.size(), 2U);
  EXPECT_THAT(ledger.take_preempted(), IsEmpty()) << "those that are about to end do";
  EXPECT_TRUE(ledger.stopped("u2"));
  EXPECT_FALSE(ledger.stopped("u2"));
  EXPECT_EQ(reason("critical"), "");
  auto too_big = make_pod("too-big", "u4", 4);
  too_big.spec.priority = 2'000'000'000;
  ledger.changed({.changed = {too_big}, .removed = {}});
  EXPECT_EQ(reason("too-big"), "UnexpectedAdmissionError");
  EXPECT_THAT(wanted().pods.at("default/too-big").status.message,
              HasSubstr("no set of running pods found to reclaim resources: [(res: cpu, q: 3000), ]"));
  EXPECT_THAT(ledger.take_preempted(), IsEmpty()) << "nobody ends for nothing";
}

}  // namespace
}  // namespace keelson::agent
