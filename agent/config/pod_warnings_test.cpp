// SPDX-License-Identifier: Apache-2.0
#include "agent/config/pod_warnings.h"

#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

TEST(PodWarnings, TellOfSecretsThatAreNotThere) {
  kube::Pod pod;
  pod.metadata.ns = "default";
  pod.spec.image_pull_secrets = {"here", "away", "", "gone"};
  kube::DesiredState objects;
  objects.secrets["default/here"] = {};
  objects.secrets["other/away"] = {};
  const ClusterDns dns{.servers = {"10.96.0.10"}};
  const auto found = pod_warnings(pod, objects, &dns);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].reason, "FailedToRetrieveImagePullSecret");
  EXPECT_EQ(found[0].message,
            "Unable to retrieve some image pull secrets (away, gone); attempting to pull the image may not succeed.");
  pod.spec.image_pull_secrets = {"here"};
  EXPECT_TRUE(pod_warnings(pod, objects, &dns).empty());
}

TEST(PodWarnings, TellThatThereIsNoDnsOfTheClusters) {
  kube::Pod pod;
  pod.metadata = {.name = "web", .ns = "default", .uid = "u1"};
  const ClusterDns none;
  const auto found = pod_warnings(pod, {}, &none);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].reason, "MissingClusterDNS");
  EXPECT_EQ(found[0].message,
            "pod: \"web_default(u1)\". kubelet does not have ClusterDNS IP configured and cannot create Pod using "
            "\"ClusterFirst\" policy. Falling back to \"Default\" policy.");
  pod.spec.host_network = true;
  EXPECT_TRUE(pod_warnings(pod, {}, &none).empty()) << "its policy means the node's";
  pod.spec.dns_policy = kube::DnsPolicy::cluster_first_with_host_net;
  EXPECT_EQ(pod_warnings(pod, {}, &none).size(), 1U);
  pod.spec.dns_policy = kube::DnsPolicy::default_policy;
  EXPECT_TRUE(pod_warnings(pod, {}, &none).empty());
  pod.spec.dns_policy = kube::DnsPolicy::cluster_first;
  pod.spec.host_network = false;
  EXPECT_TRUE(pod_warnings(pod, {}, nullptr).empty()) << "without a cluster it is nobody's";
}

TEST(PodWarnings, TellOfNameServersThatDoNotFit) {
  kube::Pod pod;
  pod.spec.dns_policy = kube::DnsPolicy::default_policy;
  const std::string three = "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
  EXPECT_TRUE(dns_warnings(pod, {}, three).empty());
  const auto found = dns_warnings(pod, {}, three + "nameserver 192.0.2.4\n");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].reason, "DNSConfigForming");
  EXPECT_EQ(found[0].message,
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
            "192.0.2.1 192.0.2.2 192.0.2.3");
}

}  // namespace
}  // namespace keelson::agent
