// SPDX-License-Identifier: Apache-2.0
// The unmodified kube-proxy as tests and benches run it: its rules are there when it is said, and gone at the end.
#include "tests/support/kube_proxy.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include <boost/json/parse.hpp>

#include "tests/support/control_plane.h"

namespace keelson::testing {
namespace {

namespace fs = std::filesystem;

boost::json::object object(const char* text) {
  return boost::json::parse(text).as_object();
}

class KubeProxyTest : public ::testing::TestWithParam<ProxyMode> {};

TEST_P(KubeProxyTest, ProgramsWhatTheApiServerHolds) {
  if (auto reason = why_no_kube_proxy(); ::geteuid() != 0 || !reason.empty()) {
    GTEST_SKIP() << "SKIP: " << (reason.empty() ? "needs root" : reason);
  }
  enter_node_network("10.250.0.1");
  std::string pattern = "/tmp/keelson-kube-proxy-XXXXXX";
  std::string home = ::mkdtemp(pattern.data());
  {
    ControlPlane control_plane(home, "node");
    control_plane.start();
    ApiObjects api;
    api.apply({object(R"({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node"},
                          "status": {"addresses": [{"type": "InternalIP", "address": "10.250.0.1"}]}})"),
               object(R"({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "first"},
                          "spec": {"clusterIP": "10.96.7.7", "ports": [{"port": 80, "protocol": "TCP"}]}})")});
    KubeProxy proxy;
    proxy.start({.mode = GetParam(),
                 .netns = "/proc/self/ns/net",
                 .home = home,
                 .kubeconfig = control_plane.admin_kubeconfig(),
                 .node = "node",
                 .config = {},
                 .iptables = ""});
    auto rules = [] { return run({"nft", "list", "ruleset"}).out; };
    EXPECT_NE(rules().find("10.96.7.7"), std::string::npos);
    api.apply({object(R"({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "second"},
                          "spec": {"clusterIP": "10.96.8.8", "ports": [{"port": 80, "protocol": "TCP"}]}})")});
    proxy.wait_synced();
    EXPECT_NE(rules().find("10.96.8.8"), std::string::npos);
    EXPECT_GE(proxy.metric("kubeproxy_sync_proxy_rules_service_changes_total"), 2);
    EXPECT_EQ(proxy.get("http://127.0.0.1:10256/livez").substr(0, 4), "200 ");
    proxy.stop();
    EXPECT_NE(rules().find("10.96.8.8"), std::string::npos) << "rules outlive their daemon";
    proxy.clean_up();
    EXPECT_EQ(rules().find("10.96."), std::string::npos);
  }
  fs::remove_all(home);
}

INSTANTIATE_TEST_SUITE_P(Modes, KubeProxyTest, ::testing::Values(ProxyMode::iptables, ProxyMode::nftables),
                         [](const auto& info) { return std::string(to_string(info.param)); });

}  // namespace
}  // namespace keelson::testing
