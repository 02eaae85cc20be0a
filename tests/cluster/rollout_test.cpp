// SPDX-License-Identifier: Apache-2.0
// A Deployment replaced pod by pod under new connections, whose pods have no preStop hook: those that end are out of
// the service before they know. Short here; `./dev faults` replaces it five times.
#include <cstdlib>
#include <filesystem>

#include "tests/support/cluster_node_fixture.h"
#include "tests/support/connection_load.h"

namespace keelson::testing {
namespace {

class RolloutTest : public ClusterNodeTest {};

TEST_F(RolloutTest, NoConnectionFailsWhileADeploymentIsReplaced) {
  kubectl_ok({"apply", "-f", "-"},
             fmt::format(R"(apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: default}}
spec:
  replicas: 4
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
      - name: server
        image: keelson.example/busybox:1
        command: [/tools/connection-load, serve, 0.0.0.0, "8080"]
        readinessProbe: {{tcpSocket: {{port: 8080}}, periodSeconds: 1}}
        volumeMounts: [{{name: tools, mountPath: /tools, readOnly: true}}]
      volumes:
      - {{name: tools, hostPath: {{path: "{}"}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: default}}
spec:
  selector: {{app: web}}
  clusterIP: 10.96.7.8
  ports: [{{port: 80, targetPort: 8080}}]
)",
                         std::filesystem::path(connection_load_program()).parent_path().string()));
  ASSERT_NO_FATAL_FAILURE(expect_rolled_out("deployment/web"));
  expect_soon("all four are endpoints",
              {"get", "endpointslices", "-l", "kubernetes.io/service-name=web", "-o",
               "jsonpath={.items[0].endpoints[*].conditions.ready}"},
              "true true true true");
  ConnectionLoad load({.open = 0, .rate = 1000}, "10.96.7.8 80", home());
  for (int i = 0; i < (std::getenv("KEELSON_FAULTS_WHOLE") != nullptr ? 5 : 1); ++i) {
    kubectl_ok({"rollout", "restart", "deployment/web"});
    ASSERT_NO_FATAL_FAILURE(expect_rolled_out("deployment/web"));
    expect_soon("no old pod is left", {"get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].status.phase}"},
                "Running Running Running Running");
  }
  EXPECT_EQ(load.end(), "");
}

}  // namespace
}  // namespace keelson::testing
