// SPDX-License-Identifier: Apache-2.0
// Pods have addresses of the range that the cluster has given their node.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <fstream>

#include "tests/support/member_pods.h"

namespace keelson::testing {
namespace {

using ::testing::StartsWith;

using PodRangeTest = MemberPodsTest;

TEST_F(PodRangeTest, NoPodStartsBeforeItIsKnownAndAllAreInIt) {
  std::ofstream(home() + "/cni/net.d/10-keelson.conflist")
      << fmt::format(R"({{"cniVersion":"1.1.0","name":"e2e","plugins":[{{"type":"keelson-cni","dataDir":"{}/cni/data",)"
                     R"("capabilities":{{"ipRanges":true}}}}]}})",
                     home());
  join();
  create_pod("early", kRuns);
  create_pod("host", kRuns, "", "  hostNetwork: true\n");
  expect_ready("host");
  ASSERT_TRUE(has_event("early", "NetworkNotReady network is not ready: "));
  EXPECT_TRUE(has_event("early", "waits for the range of pods' addresses"));
  wait_until("the node is there, not Ready", [] { return MemberTest::ready() == "False"; });
  ASSERT_EQ(
      kubectl({"patch", "node", kNode, "-p", R"({"spec":{"podCIDR":"10.99.7.0/24","podCIDRs":["10.99.7.0/24"]}})"})
          .code,
      0);
  expect_ready("early");
  EXPECT_THAT(field("early", "podIP"), StartsWith("10.99.7."));
  wait_node_ready();
  kill_node();
  join();
  create_pod("late", kRuns);
  expect_ready("late");
  EXPECT_THAT(field("late", "podIP"), StartsWith("10.99.7."));
  EXPECT_NE(field("late", "podIP"), field("early", "podIP"));
}

}  // namespace
}  // namespace keelson::testing
