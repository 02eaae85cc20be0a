// SPDX-License-Identifier: Apache-2.0
// The objects of a node in a cluster: read as the API server writes them, written as it wants them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kube/certificate_request.h"
#include "kube/full_node.h"
#include "kube/lease.h"

namespace keelson::kube {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

WallTime at(int64_t seconds, int64_t nanoseconds = 0) {
  return WallTime(std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanoseconds));
}

// As kube-apiserver 1.34 answers GET, shortened.
constexpr const char* kNode = R"({"kind":"Node","apiVersion":"v1","metadata":{"name":"n1","uid":"u-1",
"resourceVersion":"7","labels":{"kubernetes.io/os":"linux"},"managedFields":[{"manager":"x"}]},
"spec":{"podCIDR":"10.1.0.0/24","podCIDRs":["10.1.0.0/24","fd00::/64"],"providerID":"aws:///z/i-1",
"taints":[{"key":"k","effect":"NoSchedule"}],"unschedulable":true},
"status":{"capacity":{"cpu":"2","memory":"4026532Ki","hugepages-2Mi":"0"},"allocatable":{"cpu":"1900m"},
"conditions":[{"type":"NetworkUnavailable","status":"False","reason":"FlannelIsUp","lastHeartbeatTime":
"2023-11-14T22:13:20Z","lastTransitionTime":"2023-11-14T22:13:20Z"},{"type":"Ready","status":"True"}],
"addresses":[{"type":"InternalIP","address":"10.0.0.1"},{"type":"Hostname","address":"n1"}],
"daemonEndpoints":{"kubeletEndpoint":{"Port":10250}},
"nodeInfo":{"machineID":"m","systemUUID":"s","bootID":"b","kernelVersion":"6.1","osImage":"Debian",
"containerRuntimeVersion":"keelson://0.1.0","kubeletVersion":"v1.34.4","kubeProxyVersion":"",
"operatingSystem":"linux","architecture":"amd64","swap":{"capacity":1024}},
"images":[{"names":["a@sha256:1","a:1"],"sizeBytes":5}],
"runtimeHandlers":[{"name":"","features":{"recursiveReadOnlyMounts":true,"userNamespaces":false}}],
"features":{"supplementalGroupsPolicy":true},"volumesAttached":[{"name":"v","devicePath":"/dev/x"}]}})";

FullNode node() {
  auto read = decode_full_node(kNode);
  EXPECT_TRUE(read) << read.error().message();
  return read ? *read : FullNode();
}

TEST(FullNode, IsReadWhole) {
  const auto read = node();
  EXPECT_EQ(read.metadata.uid, "u-1");
  EXPECT_EQ(read.provider_id, "aws:///z/i-1");
  EXPECT_EQ(read.pod_cidrs, (std::vector<std::string>{"10.1.0.0/24", "fd00::/64"}));
  EXPECT_TRUE(read.unschedulable);
  ASSERT_EQ(read.taints.size(), 1U);
  EXPECT_EQ(read.status.capacity.at("memory"), Quantity::of(int64_t{4026532} * 1024));
  ASSERT_EQ(read.status.conditions.size(), 2U);
  EXPECT_EQ(read.status.conditions[0].status, ConditionStatus::false_status);
  EXPECT_EQ(read.status.conditions[0].last_transition_time, at(1'700'000'000));
  EXPECT_EQ(read.status.kubelet_port, 10250);
  EXPECT_EQ(read.status.node_info.swap_capacity, 1024);
  EXPECT_EQ(read.status.runtime_handlers.at(0).user_namespaces, false);
  EXPECT_EQ(read.status.supplemental_groups_policy, true);
}

TEST(FullNode, IsWrittenAsItWasRead) {
  const auto written = encode_json(node());
  EXPECT_THAT(written, HasSubstr(R"("apiVersion":"v1","kind":"Node")"));
  EXPECT_THAT(
      written,
      HasSubstr(
          R"("runtimeHandlers":[{"features":{"recursiveReadOnlyMounts":true,"userNamespaces":false},"name":""}])"));
  const auto again = decode_full_node(written);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, node());
}

TEST(FullNode, WhatIsNoNodeIsRefused) {
  EXPECT_EQ(decode_full_node(R"({"kind":"Pod"})").error().message(), "expected a Node, got a Pod");
  EXPECT_EQ(decode_full_node("[]").error().message(), "expected a Node, got a list");
  EXPECT_FALSE(decode_full_node("{"));
  EXPECT_EQ(decode_full_node(R"({"kind":"Node","status":{"capacity":{"cpu":true}}})").error().message().substr(0, 27),
            "Node: status.capacity.cpu: ");
}

TEST(StatusPatch, HoldsOnlyWhatIsDifferent) {
  const auto before = node().status;
  EXPECT_EQ(encode_status_patch(before, before), "{}");
  auto after = before;
  after.conditions[1].last_heartbeat_time = at(1'700'000'010);
  EXPECT_EQ(
      encode_status_patch(before, after),
      R"({"status":{"conditions":[{"lastHeartbeatTime":"2023-11-14T22:13:30Z","status":"True","type":"Ready","message":"","reason":""}]}})");
  after = before;
  after.capacity.erase("hugepages-2Mi");
  after.capacity["pods"] = Quantity::of(110);
  after.addresses = {{.type = "InternalIP", .address = "10.0.0.2"}, {.type = "InternalIP", .address = "fd00::2"}};
  after.images.clear();
  EXPECT_EQ(
      encode_status_patch(before, after),
      R"({"status":{"addresses":[{"address":"10.0.0.2","type":"InternalIP"},{"address":"fd00::2","type":"InternalIP"},)"
      R"({"$patch":"replace"}],"capacity":{"hugepages-2Mi":null,"pods":"110"},"images":null}})");
}

TEST(StatusPatch, FromNothingIsAllThatIsTheNodes) {
  const auto patch = encode_status_patch({}, node().status);
  for (const char* part : {R"("kubeletEndpoint":{"Port":10250})", R"("allocatable":{"cpu":"1900m"})", R"("bootID":"b")",
                           R"("features":{"supplementalGroupsPolicy":true})",
                           R"("images":[{"names":["a@sha256:1","a:1"])", R"("type":"NetworkUnavailable")"}) {
    EXPECT_THAT(patch, HasSubstr(part));
  }
  EXPECT_THAT(patch, Not(HasSubstr("volumesAttached"))) << "of the attach/detach controller";
}

TEST(MetadataPatch, GivesAndTakes) {
  EXPECT_EQ(encode_metadata_patch({}, {}), "{}");
  EXPECT_EQ(encode_metadata_patch({{"a", "b"}, {"gone", ""}}, {{"c", "d"}}),
            R"({"metadata":{"annotations":{"c":"d"},"labels":{"a":"b","gone":null}}})");
}

TEST(Lease, HasMicroseconds) {
  Lease lease;
  lease.metadata.name = "n1";
  lease.metadata.ns = "kube-node-lease";
  lease.metadata.owner_references = {
      {.api_version = "v1", .kind = "Node", .name = "n1", .uid = "u-1", .controller = {}, .block_owner_deletion = {}}};
  lease.holder_identity = "n1";
  lease.lease_duration_seconds = 40;
  lease.renew_time = at(1'700'000'000, 123'456'789);
  const auto text = encode_json(lease);
  EXPECT_EQ(
      text,
      R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"n1","namespace":"kube-node-lease",)"
      R"("ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"n1","uid":"u-1"}]},"spec":{"holderIdentity":"n1",)"
      R"("leaseDurationSeconds":40,"renewTime":"2023-11-14T22:13:20.123456Z"}})");
  auto read = decode_lease(text);
  ASSERT_TRUE(read) << read.error().message();
  lease.renew_time = at(1'700'000'000, 123'456'000);
  EXPECT_EQ(*read, lease);
}

TEST(CertificateRequest, HoldsItsPemInBase64) {
  CertificateRequest request;
  request.metadata.generate_name = "csr-";
  request.request_pem = "PEM";
  request.signer_name = "kubernetes.io/kubelet-serving";
  request.usages = {"digital signature", "server auth"};
  EXPECT_EQ(
      encode_json(request),
      R"({"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"generateName":"csr-"},)"
      R"("spec":{"request":"UEVN","signerName":"kubernetes.io/kubelet-serving","usages":["digital signature","server auth"]}})");
  const auto read = decode_certificate_request(
      R"({"kind":"CertificateSigningRequest","metadata":{"name":"csr-1"},"spec":{"username":"u","request":"UEVN"},
      "status":{"conditions":[{"type":"Approved","status":"True","lastUpdateTime":"2023-11-14T22:13:20Z"}],"certificate":"Q0VSVA=="}})");
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->certificate_pem, "CERT");
  EXPECT_EQ(read->conditions.at(0).type, "Approved");
}

}  // namespace
}  // namespace keelson::kube
