// SPDX-License-Identifier: Apache-2.0
// The Lease through what can happen to an API server and the way to it; on a fake clock.
#include "agent/node/lease_renewer.h"

#include <gtest/gtest.h>

#include "agent/node/fake_node_api.h"
#include "common/log.h"
#include "common/task_group.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;

constexpr const char* kPath = "/leases/n1";

class LeaseRenewerTest : public ::testing::Test {
 protected:
  LeaseRenewerTest() { log::set_level(log::Level::off); }
  ~LeaseRenewerTest() override {
    tasks_.cancel();
    loop_.run_until_idle();
  }
  void register_node() { api_.node = {{"kind", "Node"}, {"metadata", {{"name", "n1"}, {"uid", "uid-of-node"}}}}; }
  void start() {
    tasks_.spawn("lease", renewer_.run());
    loop_.run_until_idle();
  }
  void advance(Duration by) { loop_.advance(clock_, by); }
  size_t renewals() const { return api_.count("PUT", kPath); }

  FakeClock clock_;
  Loop loop_{clock_, "test"};
  FakeNodeApi api_{loop_};
  LeaseRenewer renewer_{loop_, api_, {.node = "n1"}};
  TaskGroup tasks_{loop_};
};

TEST_F(LeaseRenewerTest, IsMadeOnceAndRenewedEachTenSeconds) {
  register_node();
  start();
  const auto made = api_.typed_lease();
  EXPECT_EQ(made.metadata.name, "n1");
  EXPECT_EQ(made.metadata.ns, "kube-node-lease");
  EXPECT_EQ(made.holder_identity, "n1");
  EXPECT_EQ(made.lease_duration_seconds, 40);
  EXPECT_EQ(made.renew_time, clock_.wall());
  ASSERT_EQ(made.metadata.owner_references.size(), 1U);
  EXPECT_EQ(made.metadata.owner_references[0].uid, "uid-of-node");
  EXPECT_EQ(renewals(), 0U);
  for (size_t i = 1; i <= 6; ++i) {
    advance(10'400ms);
    EXPECT_EQ(renewals(), i);
  }
  EXPECT_LE(clock_.wall() - *api_.typed_lease().renew_time, 10'400ms);
  EXPECT_EQ(api_.count("GET", kPath), 1U) << "known from its own answers";
}

TEST_F(LeaseRenewerTest, OfAnEarlierRunIsGoneOnWith) {
  register_node();
  api_.lease = {{"kind", "Lease"},
                {"metadata", {{"name", "n1"}, {"resourceVersion", "5"}}},
                {"spec", {{"holderIdentity", "n1"}, {"leaseTransitions", 3}}}};
  start();
  EXPECT_EQ(renewals(), 1U);
  EXPECT_EQ(api_.typed_lease().lease_transitions, 3);
  EXPECT_EQ(api_.typed_lease().metadata.owner_references.at(0).uid, "uid-of-node") << "what lacked an owner gets one";
}

TEST_F(LeaseRenewerTest, WaitsForItsNode) {
  start();
  advance(3s);
  EXPECT_TRUE(api_.lease.is_null()) << "without an owner it would stay for ever";
  register_node();
  advance(5'200ms);
  EXPECT_FALSE(api_.lease.is_null());
}

TEST_F(LeaseRenewerTest, AConflictIsReadAgainAtOnce) {
  register_node();
  start();
  api_.touch(api_.lease);
  advance(10'400ms);
  EXPECT_EQ(renewals(), 2U);
  EXPECT_EQ(api_.count("GET", kPath), 2U);
  EXPECT_LT(*renewer_.renewed() - *api_.typed_lease().renew_time, 1us);
}

TEST_F(LeaseRenewerTest, OneThatWasDeletedIsMadeAgain) {
  register_node();
  start();
  api_.lease = nullptr;
  advance(10'400ms);
  EXPECT_FALSE(api_.lease.is_null());
}

TEST_F(LeaseRenewerTest, WithoutAnAnswerTheConnectionIsGivenUp) {
  register_node();
  start();
  // The first renewal is never answered; whatever comes on a new connection is.
  api_.fault = [this](const kube::Request&) {
    return api_.dropped == 0 ? Result<>(fail(Kind::timeout, "no answer")) : Result<>();
  };
  const auto before = clock_.wall();
  advance(10'400ms);
  EXPECT_EQ(api_.dropped, 0);
  advance(8s);
  EXPECT_EQ(api_.dropped, 1);
  ASSERT_TRUE(renewer_.renewed());
  EXPECT_GT(*renewer_.renewed(), before);
  EXPECT_LE(*renewer_.renewed() - before, 20s);
}

TEST_F(LeaseRenewerTest, AServerThatIsAwayIsAskedSeldom) {
  register_node();
  start();
  api_.fault = [](const kube::Request&) { return fail(Kind::unavailable, "refused"); };
  advance(5min);
  const size_t asked = renewals();
  EXPECT_GE(asked, 55U);
  EXPECT_LE(asked, 70U) << "each 5 s, once it has been away for some time";
  api_.fault = [](const kube::Request&) { return Result<>(); };
  advance(5'200ms);
  EXPECT_LT(*renewer_.renewed() - *api_.typed_lease().renew_time, 1us);
  EXPECT_LE(clock_.wall() - *renewer_.renewed(), 5'200ms);
}

TEST_F(LeaseRenewerTest, ASickServerIsAskedAgain) {
  register_node();
  start();
  int sick = 3;
  api_.fault = [&sick](const kube::Request&) {
    return sick-- > 0 ? Result<>(fail(Kind::permission, "401")) : Result<>();
  };
  advance(10'400ms + 1s);
  EXPECT_EQ(renewals(), 4U);
  EXPECT_EQ(api_.dropped, 0) << "an answer is an answer";
}

}  // namespace
}  // namespace keelson::agent
