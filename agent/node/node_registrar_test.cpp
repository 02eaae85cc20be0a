// SPDX-License-Identifier: Apache-2.0
// A node that registers and tells its status, through faults and restarts; on a fake clock.
#include "agent/node/node_registrar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "agent/node/fake_node_api.h"
#include "common/log.h"
#include "common/task_group.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using kube::ConditionStatus;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct FakeSources : NodeSources {
  FakeSources() {
    seen.architecture = "amd64";
    seen.cpus = 2;
    seen.memory = int64_t{4} << 30;
    seen.memory_available = int64_t{2} << 30;
    seen.storage = seen.storage_available = int64_t{10} << 30;
    seen.boot_id = "boot-1";
    status.conditions = {{"RuntimeReady", true, "", ""}, {"NetworkReady", true, "", ""}};
  }
  Task<Machine> machine() override { co_return seen; }
  Task<std::vector<std::string>> addresses() override { co_return ips; }
  Task<cri::RuntimeStatus> runtime_status() override { co_return answer(status); }
  Task<cri::RuntimeVersion> runtime_version() override {
    co_return answer(cri::RuntimeVersion{"keelson", "0.1.0", "v1"});
  }
  Task<std::vector<cri::Image>> images() override { co_return answer(pulled); }
  template <class T>
  Result<T> answer(T value) const {
    if (away) {
      return fail(Kind::unavailable, "no runtime");
    }
    return value;
  }

  Machine seen;
  Result<std::vector<std::string>> ips = std::vector<std::string>{"10.0.0.1"};
  cri::RuntimeStatus status;
  std::vector<cri::Image> pulled;
  bool away = false;
};

class NodeRegistrarTest : public ::testing::Test {
 protected:
  NodeRegistrarTest() {
    log::set_level(log::Level::off);
    options_.settings.name = "n1";
    options_.settings.reservation.eviction_hard = *parse_thresholds({"memory.available<1Gi"});
    options_.tell = [this](const NodeEvent& event) { events_.push_back(event.reason); };
  }
  ~NodeRegistrarTest() override { stop(); }

  void start() {
    registrar_ = std::make_unique<NodeRegistrar>(loop_, api_, sources_, options_);
    tasks_ = std::make_unique<TaskGroup>(loop_);
    tasks_->spawn("node", registrar_->run());
    loop_.run_until_idle();
  }
  /// As kill -9: nothing is remembered.
  void stop() {
    if (tasks_) {
      tasks_->cancel();
      loop_.run_until_idle();
    }
    tasks_.reset();
    registrar_.reset();
  }
  void advance(Duration by) { loop_.advance(clock_, by); }
  kube::NodeCondition condition(std::string_view type) const {
    const auto node = api_.typed_node();
    const auto* found = find_condition(node.status, type);
    EXPECT_NE(found, nullptr) << type;
    return found != nullptr ? *found : kube::NodeCondition();
  }
  ConditionStatus ready() const { return condition("Ready").status; }
  size_t reports() const { return api_.count("PATCH", "/status"); }

  FakeClock clock_;
  Loop loop_{clock_, "test"};
  FakeNodeApi api_{loop_};
  FakeSources sources_;
  RegistrarOptions options_;
  std::vector<std::string> events_;
  std::unique_ptr<NodeRegistrar> registrar_;
  std::unique_ptr<TaskGroup> tasks_;
};

TEST_F(NodeRegistrarTest, RegistersAndIsReadyAtOnce) {
  start();
  EXPECT_EQ(api_.count("POST", "/nodes"), 1U);
  EXPECT_EQ(ready(), ConditionStatus::true_status);
  EXPECT_EQ(api_.typed_node().metadata.labels.at("kubernetes.io/hostname"), "n1");
  EXPECT_THAT(events_, Contains("Starting"));
}

TEST_F(NodeRegistrarTest, AStatusThatStaysIsToldSeldom) {
  start();
  const size_t first = reports();
  advance(140s);
  EXPECT_EQ(reports(), first) << "not before half of 5 min";
  advance(5min + 30s);
  EXPECT_EQ(reports(), first + 1);
  advance(1h);
  EXPECT_GE(reports(), first + 1 + 8);
  EXPECT_LE(reports(), first + 1 + 24);
  EXPECT_LE(clock_.wall() - *condition("Ready").last_heartbeat_time, 8min);
  EXPECT_EQ(api_.count("POST", "/nodes"), 1U);
}

TEST_F(NodeRegistrarTest, AddressesAreFoundAgainAndAgain) {
  sources_.ips = fail(Kind::not_found, "no address yet");
  start();
  EXPECT_THAT(api_.typed_node().status.addresses, IsEmpty()) << "none, rather than a wrong one";
  sources_.ips = std::vector<std::string>{"10.0.0.1"};
  advance(12s);
  using kube::NodeAddress;
  EXPECT_THAT(api_.typed_node().status.addresses,
              ElementsAre(NodeAddress{"InternalIP", "10.0.0.1"}, NodeAddress{"Hostname", "n1"}));
  sources_.ips = std::vector<std::string>{"10.0.0.2", "fd00::2"};
  advance(25s);
  EXPECT_THAT(api_.typed_node().status.addresses,
              ElementsAre(NodeAddress{"InternalIP", "10.0.0.2"}, NodeAddress{"InternalIP", "fd00::2"},
                          NodeAddress{"Hostname", "n1"}));
  EXPECT_EQ(registrar_->addresses(), api_.typed_node().status.addresses) << "what a server's certificate is for";
  sources_.ips = fail(Kind::invalid, "10.0.0.2 is not ours any more");
  advance(25s);
  EXPECT_EQ(api_.typed_node().status.addresses.front().address, "10.0.0.2") << "as it was";
}

TEST_F(NodeRegistrarTest, WhatTheAgentSaysIsToldAtOnce) {
  NodeBoard board;
  options_.board = &board;
  start();
  board.listen([this] { loop_.post([this] { registrar_->look_now(); }); });
  advance(1s);
  board.tell_shutdown(true);
  loop_.run_until_idle();
  EXPECT_EQ(ready(), ConditionStatus::false_status);
  EXPECT_EQ(condition("Ready").message, "node is shutting down");
  EXPECT_EQ(condition("Ready").reason, "KubeletNotReady");
  board.tell_shutdown(false);
  board.tell(Pressures{.pid = true});
  loop_.run_until_idle();
  EXPECT_EQ(ready(), ConditionStatus::true_status);
  EXPECT_EQ(condition("PIDPressure").status, ConditionStatus::true_status);
  stop();
}

TEST_F(NodeRegistrarTest, AnAgentThatHangsMakesTheNodeNotReady) {
  NodeBoard board;
  options_.board = &board;
  start();
  EXPECT_EQ(ready(), ConditionStatus::true_status) << "it may still come";
  board.tell_alive(clock_.steady());
  advance(180s);
  EXPECT_EQ(ready(), ConditionStatus::true_status) << "not before three minutes";
  advance(12s);
  EXPECT_EQ(ready(), ConditionStatus::false_status);
  EXPECT_EQ(condition("Ready").reason, "KubeletNotReady");
  EXPECT_TRUE(condition("Ready").message.starts_with("PLEG is not healthy: pleg was last seen active 3m"))
      << condition("Ready").message;
  EXPECT_TRUE(condition("Ready").message.ends_with("s ago; threshold is 3m0s")) << condition("Ready").message;
  EXPECT_EQ(events_.back(), "NodeNotReady");
  board.tell_alive(clock_.steady());
  advance(11s);
  EXPECT_EQ(ready(), ConditionStatus::true_status);
  stop();
}

TEST_F(NodeRegistrarTest, AnAgentThatNeverComesMakesTheNodeNotReady) {
  NodeBoard board;
  options_.board = &board;
  start();
  advance(180s);
  EXPECT_EQ(ready(), ConditionStatus::true_status);
  advance(12s);
  EXPECT_EQ(condition("Ready").message, "PLEG is not healthy: pleg has yet to be successful");
  EXPECT_EQ(ready(), ConditionStatus::false_status);
  stop();
}

TEST_F(NodeRegistrarTest, NewsAreToldWithTheNextLook) {
  start();
  const auto since = condition("MemoryPressure").last_transition_time;
  sources_.seen.memory_available = 1 << 20;
  advance(10'500ms);
  EXPECT_EQ(condition("MemoryPressure").status, ConditionStatus::true_status);
  EXPECT_NE(condition("MemoryPressure").last_transition_time, since);
  EXPECT_THAT(events_, Contains("NodeHasInsufficientMemory"));
  sources_.seen.memory_available = int64_t{2} << 30;
  advance(4min);
  EXPECT_EQ(condition("MemoryPressure").status, ConditionStatus::true_status) << "held for 5 min";
  advance(80s);
  EXPECT_EQ(condition("MemoryPressure").status, ConditionStatus::false_status);
  EXPECT_EQ(events_.back(), "NodeHasSufficientMemory");
}

TEST_F(NodeRegistrarTest, IsReadySoonAfterItsNetworkIs) {
  sources_.status.conditions[1].status = false;
  start();
  EXPECT_EQ(ready(), ConditionStatus::false_status);
  advance(3s);
  const size_t asked = api_.requests.size();
  sources_.status.conditions[1].status = true;
  advance(150ms);
  EXPECT_EQ(ready(), ConditionStatus::true_status);
  EXPECT_EQ(events_.back(), "NodeReady");
  EXPECT_LE(api_.requests.size(), asked + 2) << "looking costs no request";
}

TEST_F(NodeRegistrarTest, ARestartFlipsNothing) {
  start();
  const auto before = api_.typed_node();
  stop();
  sources_.away = true;  // it starts together with us
  start();
  advance(20s);
  EXPECT_EQ(api_.typed_node().status.conditions, before.status.conditions);
  sources_.away = false;
  advance(11s);
  EXPECT_EQ(ready(), ConditionStatus::true_status);
  EXPECT_EQ(condition("Ready").last_transition_time, find_condition(before.status, "Ready")->last_transition_time);
  EXPECT_EQ(api_.typed_node().metadata.uid, before.metadata.uid);
  EXPECT_THAT(events_, ::testing::Not(Contains("NodeNotReady")));
}

TEST_F(NodeRegistrarTest, ARuntimeThatIsGoneForLongIsTold) {
  start();
  sources_.away = true;
  advance(25s);
  EXPECT_EQ(ready(), ConditionStatus::true_status) << "it may be restarting";
  advance(25s);
  EXPECT_EQ(ready(), ConditionStatus::false_status);
  EXPECT_EQ(condition("Ready").message, "container runtime is down");
  sources_.away = false;
  advance(11s);
  EXPECT_EQ(ready(), ConditionStatus::true_status);
}

TEST_F(NodeRegistrarTest, ARuntimeThatNeverComesIsTold) {
  start();
  stop();
  sources_.away = true;
  start();
  advance(45s);
  EXPECT_EQ(ready(), ConditionStatus::false_status);
}

TEST_F(NodeRegistrarTest, AnExistingNodeGetsWhatItLacksAndKeepsTheRest) {
  start();
  stop();
  auto& metadata = api_.node.at("metadata").as_object();
  metadata["labels"] = {{"theirs", "x"}, {"kubernetes.io/hostname", "wrong"}};
  metadata["annotations"] = {{"theirs", "y"}};
  api_.node.as_object()["spec"] = {{"unschedulable", true}};
  api_.node.at("status").at("nodeInfo").at("bootID") = "boot-0";
  events_.clear();
  start();
  const auto node = api_.typed_node();
  EXPECT_EQ(node.metadata.labels.at("theirs"), "x");
  EXPECT_EQ(node.metadata.labels.at("kubernetes.io/hostname"), "n1");
  EXPECT_EQ(node.metadata.annotations.at("theirs"), "y");
  EXPECT_EQ(node.metadata.annotations.at("volumes.kubernetes.io/controller-managed-attach-detach"), "true");
  EXPECT_TRUE(node.unschedulable) << "cordoned it stays";
  EXPECT_EQ(node.status.node_info.boot_id, "boot-1");
  EXPECT_THAT(events_, ElementsAre("Rebooted", "Starting", "NodeNotSchedulable"));
}

TEST_F(NodeRegistrarTest, CordonsAreTold) {
  start();
  events_.clear();
  api_.node.as_object()["spec"] = {{"unschedulable", true}};
  advance(21s);
  EXPECT_THAT(events_, ElementsAre("NodeNotSchedulable")) << "once";
  api_.node.as_object()["spec"] = {{"unschedulable", false}};
  advance(11s);
  EXPECT_EQ(events_.back(), "NodeSchedulable");
}

TEST_F(NodeRegistrarTest, WhatTheNodeControllerSaysOfALostNodeIsCorrected) {
  start();
  auto& conditions = api_.node.at("status").at("conditions").as_array();
  for (auto& condition : conditions) {
    condition.at("status") = "Unknown";
    condition.at("reason") = "NodeStatusUnknown";
  }
  api_.touch(api_.node);
  advance(10'500ms);
  EXPECT_EQ(ready(), ConditionStatus::true_status);
  EXPECT_EQ(condition("Ready").reason, "KubeletReady");
  EXPECT_EQ(condition("Ready").last_transition_time, condition("DiskPressure").last_transition_time);
}

TEST_F(NodeRegistrarTest, AServerThatComesLateIsWaitedFor) {
  api_.fault = [](const kube::Request&) { return fail(Kind::unavailable, "refused"); };
  start();
  advance(2min);
  EXPECT_LE(api_.count("POST", "/nodes"), 25U);
  api_.fault = [](const kube::Request&) { return Result<>(); };
  advance(7s);
  EXPECT_EQ(ready(), ConditionStatus::true_status);
}

TEST_F(NodeRegistrarTest, WithoutAnswersItsConnectionIsGivenUp) {
  start();
  api_.fault = [this](const kube::Request& request) {
    return api_.dropped == 0 && request.method == "GET" ? Result<>(fail(Kind::timeout, "none")) : Result<>();
  };
  sources_.pulled = {{.id = "a", .repo_tags = {"a:1"}, .size = 1}};
  advance(31s + 8s + 1s);
  EXPECT_EQ(api_.dropped, 1);
  EXPECT_EQ(api_.typed_node().status.images.size(), 1U);
}

TEST_F(NodeRegistrarTest, OneThatWasDeletedIsNotMadeAgain) {
  start();
  api_.node = nullptr;
  advance(1min);
  EXPECT_TRUE(api_.node.is_null()) << "as by the kubelet: who deletes a Node wants it gone";
}

TEST_F(NodeRegistrarTest, ANodeThatBeginsAnewHasNoneOfItsOldDevices) {
  const auto dongles = [this] { return api_.typed_node().status.capacity.at("example.com/dongle").whole(); };
  api_.node = {{"kind", "Node"},
               {"metadata", {{"name", "n1"}, {"resourceVersion", "1"}}},
               {"status",
                {{"conditions", boost::json::array()},
                 {"capacity", {{"example.com/dongle", "8"}}},
                 {"allocatable", {{"example.com/dongle", "8"}}}}}};
  NodeBoard board;
  options_.board = &board;
  start();
  EXPECT_EQ(dongles(), 8) << "its agent may know of them";
  board.tell_devices({.capacity = {}, .allocatable = {}, .first_life = true});
  registrar_->look_now();
  loop_.run_until_idle();
  EXPECT_EQ(dongles(), 0);
  EXPECT_TRUE(api_.typed_node().status.allocatable.at("example.com/dongle").zero());
  api_.node.at("status").at("capacity").at("example.com/dongle") = "4";
  api_.touch(api_.node);
  advance(10min);
  EXPECT_EQ(dongles(), 4) << "somebody has told of them since";
}

TEST_F(NodeRegistrarTest, IfOthersRegisterItWaitsForThem) {
  options_.register_node = false;
  start();
  advance(15s);
  EXPECT_EQ(api_.count("POST", "/nodes"), 0U);
  api_.node = {{"kind", "Node"},
               {"metadata", {{"name", "n1"}, {"resourceVersion", "1"}}},
               {"status", {{"conditions", boost::json::array()}}}};
  advance(10'500ms);
  EXPECT_EQ(ready(), ConditionStatus::true_status);
}

TEST_F(NodeRegistrarTest, ACacheThatIsBehindDoesNotMakeItTellTwice) {
  start();
  const auto stale = api_.node;
  sources_.seen.memory_available = 1 << 20;
  advance(10'500ms);
  const size_t told = reports();
  ASSERT_EQ(condition("MemoryPressure").status, ConditionStatus::true_status);
  const auto fresh = std::exchange(api_.node, stale);
  advance(10'500ms);
  EXPECT_EQ(reports(), told);
  api_.node = fresh;
}

}  // namespace
}  // namespace keelson::agent
