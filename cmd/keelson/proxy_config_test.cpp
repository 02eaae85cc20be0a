// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/proxy_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keelson::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kHead = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

// As kubeadm 1.34 writes it.
constexpr const char* kKubeadm = R"(apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: 10.244.0.0/16,fd00:10:244::/56
configSyncPeriod: 0s
conntrack:
  maxPerCore: null
  min: null
  tcpBeLiberal: false
  tcpCloseWaitTimeout: null
  tcpEstablishedTimeout: null
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
ipvs:
  excludeCIDRs: null
  minSyncPeriod: 0s
  scheduler: ""
  strictARP: false
  syncPeriod: 0s
  tcpFinTimeout: 0s
  tcpTimeout: 0s
  udpTimeout: 0s
kind: KubeProxyConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
metricsBindAddress: ""
mode: ""
nftables:
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel:
  enableDSR: false
  forwardHealthCheckVip: false
  networkName: ""
  rootHnsEndpointName: ""
  sourceVip: ""
)";

NodeConfig parsed(const std::string& text, int cores = 2) {
  auto config = parse_proxy_config(text, "f.yaml", {}, cores);
  EXPECT_TRUE(config) << config.error().message();
  return config ? *config : NodeConfig();
}

std::string refused(const std::string& text) {
  auto config = parse_proxy_config(std::string(kHead) + text, "f.yaml", {}, 2);
  return config ? "accepted" : config.error().message();
}

TEST(ProxyConfig, ThatOfKubeadmIsTakenAsItIs) {
  auto config = parsed(kKubeadm);
  EXPECT_THAT(config.notes, IsEmpty());
  EXPECT_EQ(config.network_kubeconfig, "/var/lib/kube-proxy/kubeconfig.conf");
  EXPECT_EQ(config.detect_local_mode, "ClusterCIDR");
  EXPECT_THAT(config.cluster_cidr, ElementsAre("10.244.0.0/16", "fd00:10:244::/56"));
  EXPECT_EQ(config.healthz_bind_address, "0.0.0.0:10256");
  EXPECT_EQ(config.metrics_bind_address, "127.0.0.1:10249");
  EXPECT_THAT(config.node_port_addresses, IsEmpty());
  EXPECT_TRUE(config.localhost_node_ports);
  EXPECT_EQ(config.max_connections, "131072");
  EXPECT_EQ(config.tcp_established_timeout, "24h");
  EXPECT_TRUE(check_config(config));
}

TEST(ProxyConfig, WhatMeansSomethingIsApplied) {
  auto config = parsed(std::string(kHead) +
                           "hostnameOverride: ' Node-1 '\nhealthzBindAddress: 10.0.0.1\nmetricsBindAddress: "
                           "0.0.0.0:9\nbindAddressHardFail: true\nnodePortAddresses: [10.0.0.0/8]\n"
                           "iptables: {masqueradeAll: true, localhostNodePorts: false}\n"
                           "detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: cali}\n"
                           "conntrack: {maxPerCore: 100000, min: 1, tcpEstablishedTimeout: 2h0m0s, udpTimeout: 10s, "
                           "udpStreamTimeout: 60s}\n",
                       4);
  EXPECT_THAT(config.notes, IsEmpty());
  EXPECT_EQ(config.node_name, "node-1");
  EXPECT_EQ(config.healthz_bind_address, "10.0.0.1");
  EXPECT_EQ(config.metrics_bind_address, "0.0.0.0:9");
  EXPECT_TRUE(config.bind_address_hard_fail);
  EXPECT_THAT(config.node_port_addresses, ElementsAre("10.0.0.0/8"));
  EXPECT_TRUE(config.masquerade_all);
  EXPECT_FALSE(config.localhost_node_ports);
  EXPECT_EQ(config.detect_local_mode, "InterfaceNamePrefix");
  EXPECT_EQ(config.pod_interface_name_prefix, "cali");
  EXPECT_EQ(config.max_connections, "400000");
  EXPECT_EQ(config.tcp_established_timeout, "2h0m0s");
  EXPECT_EQ(config.udp_timeout, "10s");
  EXPECT_EQ(config.udp_stream_timeout, "60s");
  EXPECT_TRUE(check_config(config));
  EXPECT_EQ(parsed(std::string(kHead) + "conntrack: {maxPerCore: 0}\n").max_connections, "262144") << "left as it is";
}

TEST(ProxyConfig, EachModeHasItsWays) {
  auto config = parsed(std::string(kHead) + "mode: nftables\niptables: {masqueradeAll: true}\n");
  EXPECT_THAT(config.notes, ElementsAre("f.yaml: mode: nftables is not applied: services are done by eBPF"));
  EXPECT_FALSE(config.masquerade_all) << "of another mode";
  EXPECT_FALSE(config.localhost_node_ports);
  EXPECT_THAT(config.node_port_addresses, ElementsAre("primary"));
  config =
      parsed(std::string(kHead) + "mode: nftables\nnftables: {masqueradeAll: true}\nnodePortAddresses: [fd00::/8]\n");
  EXPECT_TRUE(config.masquerade_all);
  EXPECT_THAT(config.node_port_addresses, ElementsAre("fd00::/8"));
  EXPECT_TRUE(parsed(std::string(kHead) + "mode: ipvs\niptables: {masqueradeAll: true}\n").masquerade_all);
  config = parsed(std::string(kHead) + "bindAddress: '::'\n");
  EXPECT_EQ(config.healthz_bind_address, "[::]:10256");
  EXPECT_EQ(config.metrics_bind_address, "[::1]:10249");
}

TEST(ProxyConfig, WhatDoesNotApplyIsTold) {
  auto config = parsed(std::string(kHead) +
                       "featureGates: {Some: true}\nclientConnection: {qps: 2.5}\nipvs: {scheduler: rr}\n"
                       "oomScoreAdj: -999\nenableProfiling: true\nconntrack: {tcpCloseWaitTimeout: 1h0m0s}\n"
                       "detectLocalMode: ClusterCIDR\n");
  EXPECT_THAT(
      config.notes,
      ElementsAre(HasSubstr("featureGates: ... is not applied"), HasSubstr("clientConnection.qps: 2.5"),
                  "f.yaml: ipvs.scheduler: rr is not applied: there is no IPVS here", HasSubstr("oomScoreAdj: -999"),
                  HasSubstr("enableProfiling: true"), HasSubstr("conntrack.tcpCloseWaitTimeout: 1h0m0s"),
                  HasSubstr("detectLocalMode: ClusterCIDR without clusterCIDR")));
  EXPECT_EQ(config.detect_local_mode, "");
}

TEST(ProxyConfig, UnknownFieldsAreToldWithTheirLines) {
  EXPECT_THAT(parsed(std::string(kHead) +
                     "iptables:\n  masqueradeall: true\nclustercidr: 10.0.0.0/8\nzzzzzzzzzz: 1\nmode: nftables\n")
                  .notes,
              ElementsAre("f.yaml:4: iptables.masqueradeall: unknown field, passed over; did you mean masqueradeAll?",
                          "f.yaml:5: clustercidr: unknown field, passed over; did you mean clusterCIDR?",
                          "f.yaml:6: zzzzzzzzzz: unknown field, passed over", HasSubstr("mode: nftables")));
}

TEST(ProxyConfig, WrongFieldsAreNamedWithTheirLines) {
  EXPECT_EQ(refused("iptables: yes\nconntrack: {min: many}\nipvs: {syncPeriod: 30}\nnodePortAddresses: 10.0.0.0/8\n"
                    "featureGates: [a]\nbindAddressHardFail: 1\n"),
            "f.yaml:3: iptables: expected an object\n"
            "f.yaml:4: conntrack.min: expected a whole number\n"
            "f.yaml:5: ipvs.syncPeriod: '30' is not a duration like 4h, 90s or 500ms\n"
            "f.yaml:6: nodePortAddresses: expected a list of strings\n"
            "f.yaml:7: featureGates: expected names with true or false\n"
            "f.yaml:8: bindAddressHardFail: expected true or false");
  EXPECT_EQ(parse_proxy_config("kind: Pod\n", "f.yaml", {}, 1).error().message(),
            "f.yaml:1: expected apiVersion: kubeproxy.config.k8s.io/v1alpha1 and kind: KubeProxyConfiguration");
  EXPECT_FALSE(parse_proxy_config("a: [", "f.yaml", {}, 1));
}

}  // namespace
}  // namespace keelson::cli
