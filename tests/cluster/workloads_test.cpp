// SPDX-License-Identifier: Apache-2.0
// What controllers make of workloads, on our node: all of it comes up, is served, and goes.
#include <set>

#include "tests/support/cluster_node_fixture.h"

namespace keelson::testing {
namespace {

class WorkloadsTest : public ClusterNodeTest {};

constexpr const char* kWorkloads = R"(apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: server
        image: keelson.example/server:1
        command: [/server, --fail-after, "0"]
        ports: [{containerPort: 8080, name: http}]
        readinessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  selector: {app: web}
  clusterIP: 10.96.7.7
  ports: [{port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: default}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: server
        image: keelson.example/server:1
        command: [/server, --fail-after, "0"]
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: default}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 1
      hostNetwork: true
      containers:
      - {name: main, image: "keelson.example/busybox:1", command: [sleep, "1000"]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: sum, namespace: default}
spec:
  completions: 2
  parallelism: 2
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: main, image: "keelson.example/busybox:1", command: [sh, -c, "echo $((6 * 7)); hostname"]}
)";

TEST_F(WorkloadsTest, ComeUpAreServedAndGo) {
  kubectl_ok({"apply", "-f", "-"}, kWorkloads);
  for (const char* workload : {"deployment/web", "statefulset/db", "daemonset/agent"}) {
    ASSERT_NO_FATAL_FAILURE(expect_rolled_out(workload));
  }
  expect_soon("the job is complete", {"get", "job", "sum", "-o", "jsonpath={.status.succeeded}"}, "2");
  EXPECT_EQ(kubectl_ok({"logs", "job/sum", "--tail=2"}).substr(0, 3), "42\n");

  // Every pod of the Deployment answers behind the Service, for a client in another pod.
  kubectl_ok({"run", "client", "--image=keelson.example/busybox:1", "--restart=Never", "--", "sleep", "1000"});
  expect_soon("the client runs", {"get", "pod", "client", "-o", "jsonpath={.status.phase}"}, "Running");
  const auto ask = [&] { return kubectl({"exec", "client", "--", "wget", "-qO-", "http://10.96.7.7/hostname"}); };
  wait_until("the Service is routed", [&] { return ask().code == 0; });
  std::set<std::string> answered;
  for (int i = 0; i < 60 && answered.size() < 3; ++i) {
    const auto answer = ask();
    EXPECT_EQ(answer.code, 0) << answer.error;
    answered.insert(answer.out);
  }
  EXPECT_EQ(answered.size(), 3U);
  const auto address = kubectl_ok({"get", "pod", "db-1", "-o", "jsonpath={.status.podIP}"});
  EXPECT_EQ(kubectl_ok({"exec", "client", "--", "wget", "-qO-", "http://" + address + ":8080/hostname"}), "db-1");
  // A pod reaches the API server by its service account.
  const auto api = kubectl_ok({"exec", "client", "--", "sh", "-c",
                               "cd /var/run/secrets/kubernetes.io/serviceaccount && ls ca.crt namespace && wget -qO- "
                               "--no-check-certificate --header \"Authorization: Bearer $(cat token)\" "
                               "https://$KUBERNETES_SERVICE_HOST/api"});
  EXPECT_NE(api.find("APIVersions"), std::string::npos) << api;

  kubectl_ok({"delete", "-f", "-", "--wait=false"}, kWorkloads);
  kubectl_ok({"delete", "pod", "client", "--grace-period=1", "--wait=false"});
  expect_soon("all pods are gone", {"get", "pods", "-o", "name"}, "");
}

}  // namespace
}  // namespace keelson::testing
