// SPDX-License-Identifier: Apache-2.0
// What `keelson node --roles network` shows to machines: health, metrics, healthCheckNodePorts, asked by curl.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <thread>

#include "common/clock.h"
#include "ebpf/bpf/counters.h"
#include "ebpf/testing.h"
#include "tests/support/network_daemon.h"

namespace keelson::testing {
namespace {

namespace fs = std::filesystem;
using ebpf::testing::SmallNet;
using ::testing::HasSubstr;

constexpr const char* kService = R"(
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  clusterIPs: [10.96.0.1]
  externalTrafficPolicy: Local
  healthCheckNodePort: 31000
  ports: [{name: http, port: 80, nodePort: 30080}]
)";

// Local to this node, or not; changed now.
std::string slice(const std::string& node) {
  return fmt::format(R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-1
  labels: {{kubernetes.io/service-name: web}}
  annotations: {{endpoints.kubernetes.io/last-change-trigger-time: "{}"}}
addressType: IPv4
ports: [{{name: http, port: 8080}}]
endpoints: [{{addresses: [10.2.0.2], nodeName: {}}}]
)",
                     format_rfc3339_nano(real_clock().wall()), node);
}

class ProxyServersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = NetworkDaemon::why_not(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    net_.emplace();
    daemon_.emplace(*net_);
    daemon_->apply("service.yaml", kService);
    daemon_->apply("slice.yaml", slice("here"));
  }
  void TearDown() override {
    if (!daemon_) {
      return;
    }
    if (daemon_->alive()) {
      EXPECT_EQ(daemon_->stop(), 0);
    }
    if (HasFailure()) {
      std::fputs(daemon_->log().c_str(), stderr);
    }
    fs::remove(daemon_->pins());
  }

  // Not until it routes: when it answers is the matter of these tests.
  void start(std::vector<std::string> flags = {}) {
    flags.emplace_back("--remove-services-on-exit");
    daemon_->launch(flags);
  }
  void wait_for_its_end() {
    for (int i = 0; i < 6000 && daemon_->alive(); i++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_FALSE(daemon_->alive());
  }
  // Head and body, as the node's processes get it; what curl says if it gets none.
  std::string get(const std::string& url, const std::string& from = "node") {
    auto output = run({"nsenter", "--net=" + net_->path(from), "curl", "-sSi", "--max-time", "30", "http://" + url});
    return output.code == 0 ? output.out : output.error;
  }
  // The answer once it holds the text, or the last one of two minutes.
  std::string wait_for(const std::string& url, const std::string& text) {
    std::string answer;
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    while (answer.find(text) == answer.npos && std::chrono::steady_clock::now() < end) {
      answer = get(url);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return answer;
  }

  // The source that an endpoint sees of a connection to the cluster IP; or what went wrong.
  std::string source_seen(const std::string& from) {
    auto listener = ebpf::testing::Socket::tcp(*net_, "pod2");
    listener.bind("10.2.0.2", 8080);
    listener.listen();
    auto client = ebpf::testing::Socket::tcp(*net_, from);
    if (int error = client.connect("10.96.0.1", 80, 10'000)) {
      return strerror(error);
    }
    std::string source;
    return listener.accept(&source) ? ebpf::testing::host_of(source) : "nobody came";
  }

  std::optional<SmallNet> net_;
  std::optional<NetworkDaemon> daemon_;
};

TEST_F(ProxyServersTest, HealthIsToldAsKubeProxyDoes) {
  start();
  auto answer = wait_for("10.1.0.1:10256/healthz", "\"status\"");
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: application/json"));
  EXPECT_THAT(answer, HasSubstr("X-Content-Type-Options: nosniff"));
  EXPECT_THAT(answer, HasSubstr("\"nodeEligible\":true,\"healthy\":true,\"status\":{\"IPv4\":{\"lastUpdated\":\""));
  EXPECT_THAT(get("[fd01::1]:10256/livez", "client"), HasSubstr("HTTP/1.1 200 OK")) << "0.0.0.0 means both families";
  EXPECT_THAT(get("10.1.0.1:10256/metrics"), HasSubstr("HTTP/1.1 404"));
  EXPECT_THAT(get("10.1.0.1:10249/metrics", "client"), HasSubstr("onnect")) << "of this node alone";
}

constexpr const char* kNode = R"(
apiVersion: v1
kind: Node
metadata: {name: here}
spec: {podCIDRs: [10.1.0.0/24]TAINTS}
)";

std::string node(const std::string& taints) {
  std::string text = kNode;
  return text.replace(text.find("TAINTS"), 6, taints);
}

TEST_F(ProxyServersTest, ANodeThatGoesIsNotEligible) {
  daemon_->apply("node.yaml", node(""));
  start();
  EXPECT_THAT(wait_for("10.1.0.1:10256/healthz", "\"status\""), HasSubstr("\"nodeEligible\":true"));
  daemon_->apply("node.yaml", node(", taints: [{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}]"));
  auto answer = wait_for("10.1.0.1:10256/healthz", "\"nodeEligible\":false");
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 503 Service Unavailable"));
  EXPECT_THAT(answer, HasSubstr("\"healthy\":true"));
  EXPECT_THAT(get("10.1.0.1:10256/livez"), HasSubstr("HTTP/1.1 200 OK"));
  daemon_->apply("node.yaml", node(""));
  EXPECT_THAT(wait_for("10.1.0.1:10256/healthz", "HTTP/1.1 200"), HasSubstr("\"nodeEligible\":true"));
}

TEST_F(ProxyServersTest, PodsAreToldByTheNodesCidr) {
  daemon_->apply("node.yaml", node(""));
  start({"--detect-local-mode", "NodeCIDR"});
  wait_for("10.1.0.1:10256/healthz", "\"status\"");
  EXPECT_EQ(source_seen("client"), "10.1.0.3") << "10.1.0.0/24 is the pods'";
}

TEST_F(ProxyServersTest, AKubeProxyConfigurationIsTaken) {
  auto config = [&](const std::string& more) {
    std::ofstream(daemon_->home() / "proxy.yaml") << "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: "
                                                     "KubeProxyConfiguration\nmode: ipvs\nhealthzBindAddress: "
                                                     "127.0.0.1:10300\n"
                                                  << more;
    return (daemon_->home() / "proxy.yaml").string();
  };
  start({"--proxy-config", config("clusterCIDR: 10.1.0.0/24\n"), "--metrics-bind-address", "127.0.0.1:10301"});
  EXPECT_THAT(wait_for("127.0.0.1:10300/healthz", "\"status\""), HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(get("127.0.0.1:10301/configz"), HasSubstr("\"clusterCIDR\":[\"10.1.0.0/24\"]")) << "flags stand above";
  EXPECT_EQ(source_seen("client"), "10.1.0.3");
  EXPECT_THAT(daemon_->log(), HasSubstr("mode: ipvs is not applied: services are done by eBPF"));
  EXPECT_EQ(daemon_->stop(), 0);

  start({"--proxy-config", config("clusterCIDRs: 10.1.0.0/24\nclusterCIDR: [a]\n")});
  wait_for_its_end();
  EXPECT_THAT(daemon_->log(), HasSubstr("proxy.yaml:6: clusterCIDR: expected a string"));
}

TEST_F(ProxyServersTest, ALoadBalancerIsToldWhereEndpointsAre) {
  start();
  auto answer = wait_for("10.1.0.1:31000/", "\"localEndpoints\": 1");
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(answer, HasSubstr("X-Load-Balancing-Endpoint-Weight: 1"));
  EXPECT_THAT(answer, HasSubstr("{\n\t\"service\": {\n\t\t\"namespace\": \"default\",\n\t\t\"name\": \"web\"\n\t},"));
  daemon_->apply("slice.yaml", slice("elsewhere"));
  answer = wait_for("10.1.0.1:31000/", "\"localEndpoints\": 0");
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 503 Service Unavailable"));
  EXPECT_THAT(answer, HasSubstr("X-Load-Balancing-Endpoint-Weight: 0"));
  daemon_->remove("service.yaml");
  EXPECT_THAT(wait_for("10.1.0.1:31000/", "onnect"), HasSubstr("Failed to connect"));
}

TEST_F(ProxyServersTest, HealthCheckPortsAreOnNodePortAddresses) {
  start({"--node-port-addresses", "127.0.0.0/8"});
  EXPECT_THAT(wait_for("127.0.0.1:31000/", "\"localEndpoints\": 1"), HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(get("10.1.0.1:31000/"), HasSubstr("Failed to connect"));
}

// One "name type" a line.
std::set<std::string> types_of(const std::string& metrics) {
  std::set<std::string> types;
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      types.insert(line.substr(7));
    }
  }
  return types;
}

const std::set<std::string> kNames = {
    "go_goroutines gauge",
    "keelson_network_connection_rows_max gauge",
    "keelson_network_connection_rows_used gauge",
    "keelson_network_drops_total counter",
    "keelson_network_endpoint_slices gauge",
    "keelson_network_kubernetes_services gauge",
    "keelson_network_map_budget_bytes gauge",
    "keelson_network_map_bytes gauge",
    "keelson_network_map_growths_total counter",
    "keelson_network_map_rows_refused gauge",
    "keelson_network_rejects_total counter",
    "keelson_network_table_rows_max gauge",
    "keelson_network_table_rows_used gauge",
    "kubeproxy_network_programming_duration_seconds histogram",
    "kubeproxy_proxy_healthz_total counter",
    "kubeproxy_proxy_livez_total counter",
    "kubeproxy_sync_full_proxy_rules_duration_seconds histogram",
    "kubeproxy_sync_partial_proxy_rules_duration_seconds histogram",
    "kubeproxy_sync_proxy_rules_duration_seconds histogram",
    "kubeproxy_sync_proxy_rules_endpoint_changes_pending gauge",
    "kubeproxy_sync_proxy_rules_endpoint_changes_total counter",
    "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds gauge",
    "kubeproxy_sync_proxy_rules_last_timestamp_seconds gauge",
    "kubeproxy_sync_proxy_rules_no_local_endpoints_total gauge",
    "kubeproxy_sync_proxy_rules_service_changes_pending gauge",
    "kubeproxy_sync_proxy_rules_service_changes_total counter",
    "process_cpu_seconds_total counter",
    "process_max_fds gauge",
    "process_open_fds gauge",
    "process_resident_memory_bytes gauge",
    "process_start_time_seconds gauge",
    "process_virtual_memory_bytes gauge",
    "process_virtual_memory_max_bytes gauge",
};

// Those above, and the kernel programs' own counts.
std::set<std::string> expected_types() {
  auto types = kNames;
#define KEELSON_COUNT(name, kind, label, text)               \
  if ((kind) == KL_COUNTS) {                                 \
    types.insert("keelson_network_" label "_total counter"); \
  }
  KL_COUNTER_LIST(KEELSON_COUNT)
#undef KEELSON_COUNT
  return types;
}

TEST_F(ProxyServersTest, MetricsHaveTheNamesOfKubeProxyAndOurOwn) {
  start();
  auto answer = wait_for("127.0.0.1:10249/metrics", "keelson_network_table_rows_used{table=\"services\"} 1\n");
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_EQ(types_of(answer), expected_types());
  for (const auto& line : expected_types()) {
    EXPECT_THAT(answer, HasSubstr("# HELP " + line.substr(0, line.find(' ')) + " "));
  }
  EXPECT_THAT(answer, HasSubstr("kubeproxy_sync_proxy_rules_service_changes_total 1\n"));
  EXPECT_THAT(answer, HasSubstr("kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 1\n"));
  EXPECT_THAT(answer, HasSubstr("no_local_endpoints_total{traffic_policy=\"external\",ip_family=\"IPv4\"} 0\n"));
  EXPECT_THAT(answer, HasSubstr("keelson_network_drops_total{reason=\"no_local_endpoint\"} 0\n"));

  daemon_->apply("slice.yaml", slice("elsewhere"));
  answer = wait_for("127.0.0.1:10249/metrics",
                    "no_local_endpoints_total{traffic_policy=\"external\",ip_family=\"IPv4\"} 1\n");
  EXPECT_THAT(answer, HasSubstr("kubeproxy_sync_proxy_rules_endpoint_changes_total 2\n"));
  EXPECT_THAT(answer, HasSubstr("kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 1\n"));
  EXPECT_THAT(answer, HasSubstr("kubeproxy_network_programming_duration_seconds_count{ip_family=\"IPv4\"} 1\n"));
  auto client = ebpf::testing::Socket::tcp(*net_, "client");
  EXPECT_NE(client.connect("10.1.0.1", 30080), 0);
  EXPECT_THAT(get("127.0.0.1:10249/metrics"), Not(HasSubstr("{reason=\"no_local_endpoint\"} 0\n")));
}

TEST_F(ProxyServersTest, StatusPages) {
  start({"--topology-zone", "z1"});
  EXPECT_TRUE(wait_for("127.0.0.1:10249/proxyMode", "HTTP/1.1 200 OK").ends_with("\r\n\r\nebpf"));
  EXPECT_TRUE(get("127.0.0.1:10249/healthz").ends_with("\r\n\r\nok"));
  EXPECT_TRUE(get("127.0.0.1:10249/healthz?verbose").ends_with("[+]ping ok\nhealthz check passed\n"));
  auto config = get("127.0.0.1:10249/configz");
  EXPECT_THAT(config, HasSubstr("{\"node.keelson.dev\":{\"apiVersion\":"));
  EXPECT_THAT(config, HasSubstr("\"topologyZone\":\"z1\""));
  EXPECT_THAT(get("127.0.0.1:10249/nothing"), HasSubstr("HTTP/1.1 404"));
}

TEST_F(ProxyServersTest, AnAddressThatIsTaken) {
  auto holder = ebpf::testing::Socket::tcp(*net_, "node");
  holder.bind("127.0.0.1", 10249);
  holder.listen();
  start({"--bind-address-hard-fail"});
  wait_for_its_end();
  EXPECT_THAT(daemon_->log(), HasSubstr("metricsBindAddress: something else listens on 127.0.0.1:10249"));
  start();
  EXPECT_THAT(wait_for("10.1.0.1:10256/healthz", "\"status\""), HasSubstr("HTTP/1.1 200 OK"));
  daemon_->wait_for("127.0.0.1:10249; trying again each 5 s");
}

}  // namespace
}  // namespace keelson::testing
