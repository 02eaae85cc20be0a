// SPDX-License-Identifier: Apache-2.0
// `kubectl top` by the unmodified metrics-server, which asks our node's /metrics/resource.
#include <sstream>

#include "tests/support/cluster_node_fixture.h"

namespace keelson::testing {
namespace {

/// Where the API server finds it. Not by a Service's address: that would be the business of services.
constexpr const char* kRegistration = R"(apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system}
spec: {ports: [{port: 443, targetPort: 4443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: metrics-server, namespace: kube-system, labels: {kubernetes.io/service-name: metrics-server}}
addressType: IPv4
ports: [{port: 4443}]
endpoints: [{addresses: [10.250.0.1]}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  group: metrics.k8s.io
  version: v1beta1
  service: {name: metrics-server, namespace: kube-system}
  insecureSkipTLSVerify: true
  groupPriorityMinimum: 100
  versionPriority: 100
)";

class TopTest : public ClusterNodeTest {
 protected:
  void SetUp() override {
    program_ = peer_program("metrics-server-0.8.0/metrics-server");
    if (program_.empty()) {
      GTEST_SKIP() << "SKIP: needs the stock metrics-server: ./dev peers";
    }
    ClusterNodeTest::SetUp();
  }
  void TearDown() override {
    metrics_server_.kill();
    if (!IsSkipped()) {
      kubectl({"delete", "-f", "-", "--ignore-not-found"}, kRegistration);
    }
    ClusterNodeTest::TearDown();
  }
  /// The words of the line of `name`.
  std::vector<std::string> line_of(const std::string& table, const std::string& name) const {
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::vector<std::string> found{std::istream_iterator<std::string>(words), {}};
      if (!found.empty() && found.front() == name) {
        return found;
      }
    }
    return {};
  }

  std::string program_;
  Background metrics_server_;
};

TEST_F(TopTest, NodesPodsAndContainers) {
  kubectl_ok(
      {"run", "busy", "--image=keelson.example/busybox:1", "--", "sh", "-c",
       "x=$(yes | head -c 30000000 | tr -d '\\n'); while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; "
       "sleep 0.1; done"});
  kubectl_ok({"run", "idle", "--image=keelson.example/busybox:1", "--", "sleep", "100000"});
  kubectl_ok({"apply", "-f", "-"}, kRegistration);
  metrics_server_ =
      Background({program_, "--kubeconfig", control_plane_->admin_kubeconfig(), "--authentication-kubeconfig",
                  control_plane_->admin_kubeconfig(), "--authorization-kubeconfig", control_plane_->admin_kubeconfig(),
                  "--secure-port=4443", "--kubelet-request-timeout=5s", "--cert-dir=" + home() + "/metrics-server",
                  "--metric-resolution=10s", "--kubelet-insecure-tls", "--kubelet-preferred-address-types=InternalIP"},
                 home() + "/metrics-server.log");
  // Two scrapes make a rate; and by the last one the shell has its 15 MB.
  std::string pods;
  wait_until(
      "kubectl top pod knows both",
      [&] {
        pods = kubectl({"top", "pod"}).out;
        const auto busy = line_of(pods, "busy");
        return busy.size() == 3 && std::stoi(busy[2]) >= 13 && !line_of(pods, "idle").empty();
      },
      std::chrono::seconds(150));
  if (HasFatalFailure()) {
    FAIL() << pods << run({"tail", "-n", "20", home() + "/metrics-server.log"}).out;
  }
  const auto busy = line_of(pods, "busy"), idle = line_of(pods, "idle");
  ASSERT_EQ(busy.size(), 3U) << pods;
  EXPECT_GT(std::stoi(busy[1]), 20) << "millicores of a loop: " << pods;
  EXPECT_GE(std::stoi(busy[2]), 13) << "MiB of a shell that holds 15 MB: " << pods;
  EXPECT_LT(std::stoi(idle[1]), 10) << pods;
  EXPECT_TRUE(busy[1].ends_with("m") && busy[2].ends_with("Mi")) << pods;

  const auto node = kubectl_ok({"top", "node"});
  const auto ours = line_of(node, kNode);
  ASSERT_EQ(ours.size(), 5U) << node;
  EXPECT_GE(std::stoi(ours[1]), std::stoi(busy[1])) << node;
  EXPECT_GE(std::stoi(ours[3]), std::stoi(busy[2])) << node;
  EXPECT_TRUE(ours[2].ends_with("%") && ours[4].ends_with("%")) << node;
  EXPECT_EQ(line_of(kubectl_ok({"top", "pod", "busy", "--containers"}), "busy").at(1), "busy");
}

}  // namespace
}  // namespace keelson::testing
