// SPDX-License-Identifier: Apache-2.0
// resolv.conf by policy, host names, /etc/hosts to the letter.
#include "agent/config/dns.h"

#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

using kube::DnsPolicy;
using List = std::vector<std::string>;

const ClusterDns kCluster{.servers = {"198.51.100.10"}, .domain = "cluster.local"};
constexpr const char* kHost =
    "# the node's\nnameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch old.test\nsearch example.test "
    "svc.cluster.local\n"
    "options timeout:1 rotate\n";

kube::Pod web(DnsPolicy policy = DnsPolicy::cluster_first) {
  kube::Pod pod;
  pod.metadata = {.name = "web", .ns = "shop", .uid = "u1"};
  pod.spec.dns_policy = policy;
  return pod;
}

const List kClusterSearches = {"shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.test"};
const List kHostSearches = {"example.test", "svc.cluster.local"};
const List kHostServers = {"192.0.2.53", "192.0.2.54"};

TEST(Dns, EveryPolicy) {
  struct Row {
    DnsPolicy policy;
    bool host_network;
    List servers, searches, options;
  };
  const List of_host = {"timeout:1", "rotate"};
  for (const auto& row :
       std::vector<Row>{{DnsPolicy::cluster_first, false, kCluster.servers, kClusterSearches, {"ndots:5"}},
                        {DnsPolicy::cluster_first, true, kHostServers, kHostSearches, of_host},
                        {DnsPolicy::cluster_first_with_host_net, true, kCluster.servers, kClusterSearches, {"ndots:5"}},
                        {DnsPolicy::default_policy, false, kHostServers, kHostSearches, of_host},
                        {DnsPolicy::none, false, {}, {}, {}}}) {
    auto pod = web(row.policy);
    pod.spec.host_network = row.host_network;
    auto made = make_dns(pod, kCluster, kHost);
    auto title = std::string(kube::to_string(row.policy)) + (row.host_network ? " on the host's network" : "");
    EXPECT_EQ(made.servers, row.servers) << title;
    EXPECT_EQ(made.searches, row.searches) << title;
    EXPECT_EQ(made.options, row.options) << title;
  }
}

TEST(Dns, WithoutAClusterServerTheNodesAreUsed) {
  auto made = make_dns(web(), {}, kHost);
  EXPECT_EQ(made.servers, kHostServers);
  EXPECT_EQ(made.searches, kHostSearches);
}

TEST(Dns, ThePodAddsAndReplaces) {
  auto pod = web();
  pod.spec.dns_config = kube::PodDnsConfig{};
  pod.spec.dns_config->nameservers = {"198.51.100.10", "203.0.113.1"};
  pod.spec.dns_config->searches = {"more.test", "cluster.local"};
  pod.spec.dns_config->options = {{.name = "ndots", .value = "2"}, {.name = "edns0"}};
  auto made = make_dns(pod, kCluster, "");
  EXPECT_EQ(made.servers, (List{"198.51.100.10", "203.0.113.1"}));
  EXPECT_EQ(made.searches, (List{"shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "more.test"}));
  EXPECT_EQ(made.options, (List{"ndots:2", "edns0"}));
}

TEST(Dns, ANodeThatGivesItsPodsNoneLeadsThemToThemselves) {
  const ClusterDns alone{.servers = {}, .loopback = {"127.0.0.1", "::1"}};
  for (const auto policy : {DnsPolicy::default_policy, DnsPolicy::cluster_first}) {
    auto made = make_dns(web(policy), alone, "");
    EXPECT_EQ(made.servers, (List{"127.0.0.1", "::1"}));
    EXPECT_EQ(made.searches, (List{"."}));
  }
  EXPECT_EQ(make_dns(web(DnsPolicy::none), alone, "").servers, List());
  ClusterDns cluster = kCluster;
  cluster.loopback = {"127.0.0.1"};
  auto made = make_dns(web(DnsPolicy::cluster_first), cluster, "");
  EXPECT_EQ(made.servers, kCluster.servers);
  EXPECT_EQ(made.searches, (List{"shop.svc.cluster.local", "svc.cluster.local", "cluster.local"}));
}

TEST(Dns, Limits) {
  auto pod = web(DnsPolicy::none);
  pod.spec.dns_config = kube::PodDnsConfig{};
  for (int i = 0; i < 40; ++i) {
    pod.spec.dns_config->nameservers.push_back("192.0.2." + std::to_string(i));
    pod.spec.dns_config->searches.push_back("s" + std::to_string(i));
  }
  EXPECT_EQ(make_dns(pod, kCluster, "").servers.size(), 3U);
  EXPECT_EQ(make_dns(pod, kCluster, "").searches.size(), 32U);
  auto& searches = pod.spec.dns_config->searches;
  searches.clear();
  for (char letter = 'a'; letter < 'i'; ++letter) {
    searches.emplace_back(253, letter);
  }
  searches.emplace_back(16, 'i');  // with the blanks between them 2048 characters
  EXPECT_EQ(make_dns(pod, kCluster, "").searches.size(), 9U);
  searches.back() += "i";
  EXPECT_EQ(make_dns(pod, kCluster, "").searches.size(), 8U);
  searches = {std::string(254, 'a'), "b.test"};
  EXPECT_EQ(make_dns(pod, kCluster, "").searches, List{"b.test"}) << "resolvers end their program at the first";
}

TEST(Dns, WhatTheLimitsLeaveOutIsTold) {
  auto pod = web(DnsPolicy::default_policy);
  EXPECT_EQ(dns_left_out(pod, kCluster, kHost), List());
  pod.spec.dns_config = kube::PodDnsConfig{};
  pod.spec.dns_config->nameservers = {"198.51.100.1", "198.51.100.2"};
  EXPECT_EQ(dns_left_out(pod, kCluster, kHost),
            List{"Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
                 "192.0.2.53 192.0.2.54 198.51.100.1"});
  pod.spec.dns_config->nameservers.clear();
  pod.spec.dns_config->searches = {"more.test", std::string(254, 'a')};
  EXPECT_EQ(dns_left_out(pod, kCluster, kHost),
            List{"Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
                 "example.test svc.cluster.local more.test"});
}

TEST(Dns, TheNodesFileIsReadAsTheKubeletDoes) {
  const auto made = make_dns(web(DnsPolicy::default_policy), kCluster,
                             "search example.test. . more.test\noptions ndots:1 rotate\noptions ndots:3\n");
  EXPECT_EQ(made.searches, (List{"example.test", "more.test"}));
  EXPECT_EQ(made.options, (List{"rotate", "ndots:3"})) << "the last value of each option";
}

TEST(Dns, HostNames) {
  auto pod = web();
  EXPECT_EQ(make_hostname(pod, kCluster).value(), "web");
  pod.spec.hostname = "www";
  EXPECT_EQ(make_hostname(pod, kCluster).value(), "www");
  pod.spec.subdomain = "front";
  EXPECT_EQ(make_hostname(pod, kCluster).value(), "www");
  pod.spec.set_hostname_as_fqdn = true;
  EXPECT_EQ(make_hostname(pod, kCluster).value(), "www.front.shop.svc.cluster.local");
  pod.spec.hostname = std::string(40, 'x');
  EXPECT_EQ(make_hostname(pod, kCluster).error().kind(), Kind::invalid);
  pod.spec.set_hostname_as_fqdn.reset();
  pod.spec.hostname.clear();
  pod.metadata.name = std::string(62, 'x') + "-more";
  EXPECT_EQ(make_hostname(pod, kCluster).value(), std::string(62, 'x'));
}

TEST(Dns, HostsFile) {
  auto pod = web();
  const std::string head =
      "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";
  EXPECT_EQ(make_hosts(pod, {"192.0.2.7", "2001:db8::7"}, kCluster, "unused"),
            head + "192.0.2.7\tweb\n2001:db8::7\tweb\n");
  pod.spec.subdomain = "front";
  pod.spec.host_aliases = {{.ip = "192.0.2.9", .hostnames = {"a", "b"}}};
  EXPECT_EQ(make_hosts(pod, {"192.0.2.7"}, kCluster, "unused"),
            head +
                "192.0.2.7\tweb.front.shop.svc.cluster.local\tweb\n\n# Entries added by HostAliases.\n"
                "192.0.2.9\ta\tb\n");
  pod.spec.host_network = true;
  EXPECT_EQ(make_hosts(pod, {"192.0.2.7"}, kCluster, "127.0.0.1 node\n"),
            "# Kubernetes-managed hosts file (host network).\n127.0.0.1 node\n\n# Entries added by HostAliases.\n"
            "192.0.2.9\ta\tb\n");
}

}  // namespace
}  // namespace keelson::agent
