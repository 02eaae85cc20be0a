// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/config.h"

#include <gtest/gtest.h>

namespace keelson::cli {
namespace {

constexpr const char* kHead = "apiVersion: node.keelson.dev/v1alpha1\nkind: KeelsonConfiguration\n";

TEST(Config, FileOverridesDefaultsAndRoundTrips) {
  auto config =
      parse_config(std::string(kHead) + "root: /data\nroles: [runtime]\nremovePodsOnExit: true\n", "f.yaml", {});
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->root, "/data");
  EXPECT_EQ(config->roles, std::vector<std::string>{"runtime"});
  EXPECT_TRUE(config->remove_pods_on_exit);
  EXPECT_EQ(config->cluster_domain, "cluster.local");
  auto again = parse_config(format_config(*config), "again.yaml", {});
  ASSERT_TRUE(again);
  EXPECT_EQ(format_config(*again), format_config(*config));
}

TEST(Config, NamesEveryWrongKeyWithItsLine) {
  auto config = parse_config(std::string(kHead) + "manifestdir: /x\nroles: agent\nzzzzzzzzzzz: 1\n", "f.yaml", {});
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().message(),
            "f.yaml:3: manifestdir: unknown key; did you mean manifestDir?\n"
            "f.yaml:4: roles: expected a list of strings\n"
            "f.yaml:5: zzzzzzzzzzz: unknown key");
}

TEST(Config, RefusesOtherFiles) {
  EXPECT_EQ(parse_config("kind: Pod\n", "f.yaml", {}).error().message(),
            "f.yaml:1: expected apiVersion: node.keelson.dev/v1alpha1 and kind: KeelsonConfiguration");
  EXPECT_FALSE(parse_config("a: [", "f.yaml", {}));
  EXPECT_FALSE(parse_config("just text", "f.yaml", {}));
}

TEST(Config, ChecksRolesPathsAndLevels) {
  EXPECT_TRUE(check_config({}));
  EXPECT_TRUE(check_config({.roles = {"network"}}));
  EXPECT_EQ(check_config({.roles = {"proxy"}}).error().message(),
            "roles: 'proxy' is no role; use any of agent, runtime, network");
  EXPECT_EQ(check_config({.root = "data"}).error().message(), "root: 'data' is not an absolute path");
  EXPECT_EQ(check_config({.log_level = "loud"}).error().kind(), Kind::invalid);
  EXPECT_EQ(check_config({.cgroup_driver = "systemD"}).error().message(),
            "cgroupDriver: 'systemD' is not one of cgroupfs, systemd");
}

TEST(Config, ChecksTheStreamingServer) {
  EXPECT_EQ(check_config({.stream_server_port = "65536"}).error().message(),
            "streamServerPort: '65536' is not a port from 0 to 65535");
  EXPECT_EQ(check_config({.stream_idle_timeout = "4 hours"}).error().message(),
            "streamIdleTimeout: '4 hours' is not a duration like 4h, 90s or 500ms");
  EXPECT_EQ(check_config({.stream_tls_cert_file = "/tls.crt"}).error().message(),
            "streamTLSCertFile needs streamTLSKeyFile beside it");
  EXPECT_EQ(check_config({.stream_tls_key_file = "/tls.key"}).error().message(),
            "streamTLSKeyFile needs streamTLSCertFile beside it");
  EXPECT_EQ(check_config({.stream_tls_cert_file = "a", .stream_tls_key_file = "/b"}).error().message(),
            "streamTLSCertFile: 'a' is not an absolute path");
}

TEST(Config, ChecksHowPodsAreToldAndFlowsKept) {
  EXPECT_EQ(check_config({.detect_local_mode = "PodCIDR"}).error().message(),
            "detectLocalMode: 'PodCIDR' is not one of ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix");
  EXPECT_EQ(check_config({.detect_local_mode = "BridgeInterface"}).error().message(),
            "detectLocalMode: BridgeInterface needs podBridgeInterface beside it");
  EXPECT_TRUE(check_config({.detect_local_mode = "ClusterCIDR", .cluster_cidr = {"10.0.0.0/8"}}));
  EXPECT_EQ(check_config({.max_connections = "10"}).error().message(),
            "maxConnections: '10' is not a number from 1024 to 67108864");
  EXPECT_EQ(check_config({.bpf_memory = "8"}).error().message(), "bpfMemory: '8' is not a number from 16 to 1048576");
  EXPECT_EQ(check_config({.tcp_established_timeout = "481h"}).error().message(),
            "tcpEstablishedTimeout: '481h' is not between 1s and 480h");
  EXPECT_EQ(check_config({.udp_timeout = "30"}).error().message(),
            "udpTimeout: '30' is not a duration like 4h, 90s or 500ms");
}

TEST(Config, ABootstrapNeedsAFileToWrite) {
  EXPECT_EQ(check_config({.bootstrap_kubeconfig = "/etc/b.conf"}).error().message(),
            "bootstrapKubeconfig needs kubeconfig beside it (--bootstrap-kubeconfig, --kubeconfig): the file that is "
            "written with what the cluster has certified, and read from then on");
  EXPECT_TRUE(check_config({.kubeconfig = "/etc/k.conf", .bootstrap_kubeconfig = "/etc/b.conf"}));
}

TEST(Config, ChecksWhereItListens) {
  EXPECT_EQ(check_config({.healthz_bind_address = "here:10256"}).error().message(),
            "healthzBindAddress: 'here:10256' is not an IP address and a port, such as 0.0.0.0:10256 or [::]:10256");
  EXPECT_EQ(check_config({.metrics_bind_address = "0.0.0.0:0"}).error().message(),
            "metricsBindAddress: '0.0.0.0:0': '0' is not a port from 1 to 65535");
  EXPECT_TRUE(check_config({.healthz_bind_address = "", .metrics_bind_address = "[::1]"}));
}

TEST(Config, IsShownAsJson) {
  auto text = config_json({.roles = {"network"}, .xdp = true});
  EXPECT_NE(text.find(R"("kind":"KeelsonConfiguration","roles":["network"],"root":"/var/lib/keelson")"), text.npos)
      << text;
  EXPECT_NE(text.find(R"("xdp":true)"), text.npos) << text;
}

TEST(Config, EverySettingHasAKeyAFlagAndHelp) {
  for (const auto& setting : settings()) {
    EXPECT_NE(std::string(setting.key), "");
    EXPECT_EQ(std::string(setting.flag).substr(0, 2), "--") << setting.key;
    EXPECT_GT(std::string(setting.help).size(), 10U) << setting.key;
  }
}

}  // namespace
}  // namespace keelson::cli
