// SPDX-License-Identifier: Apache-2.0
// Nodes from text: what routing reads of them, and what is wrong with them.
#include "kube/node.h"

#include <gmock/gmock.h>

#include "kube/testdata.h"

namespace keelson::kube {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kNode = R"(
apiVersion: v1
kind: Node
metadata:
  name: n1
  labels: {topology.kubernetes.io/zone: z1, kubernetes.io/os: linux}
spec:
  podCIDR: 10.1.0.0/24
  podCIDRs: [10.1.0.0/24, "fd01::/64"]
  taints: [{key: dedicated, value: gpu, effect: NoSchedule}]
  unschedulable: true
status:
  addresses: [{type: InternalIP, address: 192.0.2.1}, {type: Hostname, address: n1}]
  nodeInfo: {kernelVersion: "6.1"}
  images: [{names: [a], sizeBytes: 5}]
  features: {supplementalGroupsPolicy: true}
)";

TEST(NodeTest, EveryFieldThatRoutingReads) {
  auto documents = decode_documents(kNode, "n.yaml");
  ASSERT_EQ(documents.size(), 1U);
  ASSERT_TRUE(documents[0].object) << ::testing::PrintToString(errors_of(kNode));
  EXPECT_TRUE(documents[0].warnings.empty()) << documents[0].warnings[0].message();
  EXPECT_EQ(documents[0].ns, "");
  const auto& node = std::get<Node>(*documents[0].object);
  EXPECT_EQ(full_name(node.metadata), "n1");
  EXPECT_EQ(zone_of(node), "z1");
  EXPECT_THAT(node.pod_cidrs, ElementsAre("10.1.0.0/24", "fd01::/64"));
  EXPECT_TRUE(node.unschedulable);
  EXPECT_THAT(node.taints, ElementsAre(Taint{.key = "dedicated", .value = "gpu", .effect = "NoSchedule"}));
  EXPECT_THAT(node.addresses, ElementsAre(NodeAddress{"InternalIP", "192.0.2.1"}, NodeAddress{"Hostname", "n1"}));
  EXPECT_EQ(node.supplemental_groups_policy, true);
  EXPECT_FALSE(is_leaving(node));
}

TEST(NodeTest, AnOldNodeHasOneRange) {
  auto documents = decode_documents(
      R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"n"},"spec":{"podCIDR":"10.1.0.0/24"}})", "n.json");
  ASSERT_TRUE(documents[0].object);
  EXPECT_THAT(std::get<Node>(*documents[0].object).pod_cidrs, ElementsAre("10.1.0.0/24"));
}

TEST(NodeTest, LeavesWhenDeletedOrTaintedByTheAutoscaler) {
  Node node;
  node.taints.push_back({.key = "other", .value = "", .effect = "NoExecute"});
  EXPECT_FALSE(is_leaving(node));
  node.taints.push_back({.key = "ToBeDeletedByClusterAutoscaler", .value = "1", .effect = "NoSchedule"});
  EXPECT_TRUE(is_leaving(node));
  node.taints.clear();
  node.metadata.deletion_timestamp = WallTime{};
  EXPECT_TRUE(is_leaving(node));
}

TEST(NodeTest, ErrorsNameTheField) {
  EXPECT_THAT(errors_of(R"(
apiVersion: v1
kind: Node
metadata: {name: n1, namespace: shop}
spec:
  podCIDRs: [10.1.0.0/33, 10.2.0.0/24]
  taints: [{key: a, effect: Never}, {key: b}]
status:
  addresses: [{type: InternalIP, address: n1}]
)"),
              ElementsAre(HasSubstr("metadata.namespace: Forbidden"), HasSubstr("spec.podCIDRs: Invalid value"),
                          HasSubstr("spec.podCIDRs[0]: Invalid value"),
                          HasSubstr("spec.taints[0].effect: Unsupported value: \"Never\""),
                          HasSubstr("spec.taints[1].effect: Required value"),
                          HasSubstr("status.addresses[0].address: Invalid value")));
  EXPECT_THAT(errors_of("apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec: {podCIDRs: 10.1.0.0/24}\n"),
              ElementsAre(HasSubstr("4: spec.podCIDRs: expected a list, got a string")));
}

TEST(NodeTest, TwoOfOneName) {
  const std::string one = "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n";
  EXPECT_THAT(errors_of(one + "---\n" + one), ElementsAre(HasSubstr("Duplicate value")));
}

}  // namespace
}  // namespace keelson::kube
