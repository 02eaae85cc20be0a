// SPDX-License-Identifier: Apache-2.0
// Our kubelet API before a real kube-apiserver: kubectl's ways into a pod, who may ask what, and what is told of use.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <boost/json/parse.hpp>

#include "tests/support/cluster_images.h"
#include "tests/support/member_fixture.h"

namespace keelson::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kCanary = "canary-0f9d2b7e";

class KubeletApiTest : public MemberTest {
 protected:
  static void SetUpTestSuite() { start_cluster(ControlPlane::Parts::api); }

  void SetUp() override {
    MemberTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    make_images(home() + "/images");
    join({"--client-ca-file", control_plane_->authority_file(), "--log-level", "debug"});
    wait_node_ready();
  }
  void TearDown() override {
    if (!IsSkipped()) {
      kubectl({"delete", "pods,secrets", "--all", "--timeout=60s"});
    }
    MemberTest::TearDown();
  }

  static void create(const std::string& yaml) {
    const auto done = kubectl({"apply", "-f", "-"}, yaml);
    ASSERT_EQ(done.code, 0) << done.error;
  }

  /// The pod "web", which is given a secret.
  void run_pod(const std::string& command) {
    create(fmt::format(R"(apiVersion: v1
kind: Secret
metadata: {{name: canary, namespace: default}}
stringData: {{key: {}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: default}}
spec:
  nodeName: {}
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  dnsPolicy: Default
  containers:
  - name: main
    image: keelson.example/busybox:1
    command: [sh, -c, "{}"]
    env: [{{name: CANARY, valueFrom: {{secretKeyRef: {{name: canary, key: key}}}}}}]
    volumeMounts: [{{name: scratch, mountPath: /scratch}}]
  volumes: [{{name: scratch, emptyDir: {{}}}}]
)",
                       kCanary, kNode, command));
    wait_ready("web");
  }

  /// The status of a request to port 10250; the body is in body_.
  int ask(const std::string& method, const std::string& target, const std::vector<std::string>& credentials) {
    std::vector<std::string> command = {"curl",           "-sk", "-m",          "60", "-X", method, "-o",
                                        home() + "/body", "-w",  "%{http_code}"};
    command.insert(command.end(), credentials.begin(), credentials.end());
    command.push_back("https://" + std::string(kAddress) + ":10250" + target);
    fs::remove(home() + "/body");
    const auto done = run(command);
    body_ = read_text(home() + "/body");
    bodies_ += body_;
    return done.code == 0 ? std::atoi(done.out.c_str()) : -done.code;
  }
  /// curl's arguments to be somebody by a certificate of `authority`.
  std::vector<std::string> be(TestAuthority& authority, const std::string& name, const std::string& group = "") {
    const auto issued = authority.issue(name, group);
    const auto base = home() + "/" + name;
    std::ofstream(base + ".crt") << issued.certificate;
    std::ofstream(base + ".key") << issued.key;
    return {"--cert", base + ".crt", "--key", base + ".key"};
  }
  /// Returns once the API server's authorizer, which learns of it by a watch, knows.
  void allow(const std::string& user, const std::string& verbs, const std::string& resources) {
    create(fmt::format(R"(apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {0}}}
rules: [{{apiGroups: [""], resources: [{1}], verbs: [{2}]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {0}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {0}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {0}}}]
)",
                       user, resources, verbs));
    const auto subresource = resources.substr(6, resources.find(',') - 6);  // behind "nodes/"
    wait_until(user + " may", [&] {
      return kubectl({"auth", "can-i", "get", "nodes", "--subresource=" + subresource, "--as=" + user}).out == "yes\n";
    });
  }

  std::string body_;
  std::string bodies_;
};

TEST_F(KubeletApiTest, KubectlGetsIn) {
  run_pod(
      "echo first line; echo second >&2; mkdir /www; echo page > /www/index.html; httpd -p 8080 -h /www; while true; "
      "do echo tick; sleep 1; done");
  std::string logs;
  wait_until("it has printed", [&] {
    logs = kubectl({"logs", "web"}).out;
    return logs.find("second\n") != std::string::npos && logs.ends_with("tick\n");
  });
  EXPECT_THAT(logs, ::testing::StartsWith("first line\n"));
  EXPECT_EQ(kubectl({"logs", "web", "--limit-bytes=5"}).out, "first");
  EXPECT_EQ(kubectl({"logs", "web", "--tail=1"}).out, "tick\n");
  EXPECT_THAT(kubectl({"logs", "web", "--timestamps", "--tail=1"}).out, HasSubstr("Z tick\n"));
  EXPECT_THAT(kubectl({"logs", "web", "--previous"}).error,
              HasSubstr("previous terminated container \"main\" in pod \"web\" not found"));
  {
    const Background follower(control_plane_->kubectl_command({"logs", "-f", "web", "--since=1s"}),
                              home() + "/followed.log");
    wait_until("its log is followed",
               [this] { return read_text(home() + "/followed.log").find("tick\ntick\n") != std::string::npos; });
  }

  EXPECT_EQ(kubectl({"exec", "web", "--", "sh", "-c", "echo out; echo error >&2"}).out, "out\n");
  EXPECT_EQ(kubectl({"exec", "web", "--", "sh", "-c", "exit 3"}).code, 3);
  EXPECT_EQ(kubectl({"exec", "-i", "web", "--", "md5sum"}, "the input").out.substr(0, 8), "46fba79b");
  // With a terminal, whose input stays open for longer: script(1) lets go of one whose input has ended.
  const auto terminal =
      run({"timeout", "60", "sh", "-c",
           fmt::format("until [ -e {2}/seen ]; do sleep 0.2; done | {{ script -qec '{0} kubectl --kubeconfig {1} exec "
                       "-it web -- tty' /dev/null; touch {2}/seen; }}",
                       kubernetes_program(), control_plane_->admin_kubeconfig(), home())});
  EXPECT_THAT(terminal.out, HasSubstr("/dev/pts/"));

  std::ofstream(home() + "/file") << std::string(3'000'000, 'x');
  EXPECT_EQ(kubectl({"cp", home() + "/file", "web:/tmp/file"}).code, 0);
  EXPECT_EQ(kubectl({"exec", "web", "--", "wc", "-c", "/tmp/file"}).out, "3000000 /tmp/file\n");
  EXPECT_EQ(kubectl({"cp", "web:/tmp/file", home() + "/back"}).code, 0);
  EXPECT_EQ(fs::file_size(home() + "/back"), 3'000'000U);

  auto command = control_plane_->kubectl_command({"attach", "web"});
  Background attached(command, home() + "/attach.log");
  Background forward(control_plane_->kubectl_command({"port-forward", "pod/web", "18080:8080"}),
                     home() + "/forward.log");
  wait_until("the page comes through port-forward",
             [] { return run({"curl", "-s", "-m", "30", "http://127.0.0.1:18080/"}).out == "page\n"; });
  wait_until("attach shows what is printed",
             [this] { return read_text(home() + "/attach.log").find("tick") != std::string::npos; });
  EXPECT_TRUE(attached.alive());
}

// What kubernetes-mixin's rules and dashboards query, and rows that other threads than the API's own count.
TEST_F(KubeletApiTest, WhatOperatorsWatchIsTold) {
  run_pod("while true; do sleep 0.1; done");
  const auto raw = [](const std::string& path) {
    return kubectl({"get", "--raw", fmt::format("/api/v1/nodes/{}/proxy{}", kNode, path)}).out;
  };
  // What is counted is told when it is over: a pod may be seen before the work that made it is.
  std::string own;
  const auto expect_told = [&](const std::string& what, const ::testing::Matcher<std::string>& row) {
    wait_until("told: " + what, [&] { return row.Matches(own) || row.Matches(own = raw("/metrics")); });
  };
  expect_told("the Lease's thread, too", HasSubstr("method=\"PUT\"} "));
  for (const char* request :
       {"code=\"201\",host=\"[^\"]*\",method=\"POST\"", "code=\"200\",host=\"[^\"]*\",method=\"PATCH\"",
        "code=\"200\",host=\"[^\"]*\",method=\"GET\""}) {
    expect_told(request, ::testing::ContainsRegex(fmt::format("rest_client_requests_total\\{{{}\\}} [1-9]", request)));
  }
  for (const char* row :
       {"kubelet_runtime_operations_total{operation_type=\"run_podsandbox\"} 1",
        "kubelet_runtime_operations_total{operation_type=\"create_container\"} 1",
        "kubelet_runtime_operations_duration_seconds_count{operation_type=\"status\"}",
        "kubelet_run_podsandbox_duration_seconds_count{runtime_handler=\"\"} 1",
        "kubelet_pod_worker_duration_seconds_count{operation_type=\"create\"} 1",
        "kubelet_pleg_relist_duration_seconds_count ",
        "kubelet_pleg_relist_interval_seconds_bucket{",
        "kubelet_pleg_last_seen_seconds ",
        "kubelet_cgroup_manager_duration_seconds_count{operation_type=\"create\"}",
        "kubelet_pod_start_sli_duration_seconds_count 1",
        "kubelet_pod_start_total_duration_seconds_count 1",
        "kubelet_started_pods_total 1",
        "kubelet_started_containers_total{container_type=\"container\"} 1",
        "kubelet_desired_pods{static=\"\"} 1",
        "kubelet_working_pods{config=\"desired\",lifecycle=\"sync\",static=\"\"} 1",
        "kubelet_mirror_pods 0",
        "kubelet_http_inflight_requests{long_running=\"false\",method=\"GET\",path=\"metrics\"",
        "kubelet_pod_worker_start_duration_seconds_count 1",
        "kubelet_pod_status_sync_duration_seconds_count ",
        "kubelet_evented_pleg_connection_success_count 1",
        "volume_manager_total_volumes{plugin_name=\"kubernetes.io/empty-dir\",state=\"desired_state_of_world\"} 1",
        "volume_manager_total_volumes{plugin_name=\"kubernetes.io/empty-dir\",state=\"actual_state_of_world\"} 1",
        "storage_operation_duration_seconds_count{migrated=\"false\",operation_name=\"volume_mount\",status="
        "\"success\",volume_plugin=\"kubernetes.io/empty-dir\"} ",
        "go_goroutines ",
        "kubelet_cgroup_version "}) {
    ASSERT_NO_FATAL_FAILURE(expect_told(row, HasSubstr(std::string("\n") + row)));
  }
  const auto cadvisor = raw("/metrics/cadvisor");
  EXPECT_THAT(cadvisor, ::testing::ContainsRegex("\ncontainer_file_descriptors\\{container=\"main\"[^}]*\\} [1-9]"));
  EXPECT_THAT(cadvisor, ::testing::ContainsRegex("\nmachine_cpu_sockets\\{boot_id=\"[^\"]+\",[^}]*\\} [1-9]"));
}

TEST_F(KubeletApiTest, TheApiServerProxiesTheRest) {
  run_pod("while true; do sleep 0.1; done");
  const auto raw = [](const std::string& path) {
    return kubectl({"get", "--raw", fmt::format("/api/v1/nodes/{}/proxy{}", kNode, path)});
  };
  EXPECT_EQ(raw("/healthz").out, "ok");
  EXPECT_EQ(raw("/healthz/syncloop").out, "ok");
  EXPECT_THAT(raw("/pods").out, HasSubstr("\"name\":\"web\""));
  EXPECT_THAT(raw("/runningpods/").out, HasSubstr("\"image\":\"keelson.example/busybox:1\""));
  const auto configured = boost::json::parse(raw("/configz").out);
  EXPECT_EQ(configured.at_pointer("/kubeletconfig/authentication/x509/clientCAFile"),
            boost::json::value(control_plane_->authority_file()));
  const auto summary = boost::json::parse(raw("/stats/summary").out);
  EXPECT_EQ(summary.at_pointer("/node/nodeName"), kNode);
  EXPECT_EQ(summary.at_pointer("/pods/0/podRef/name"), "web");
  EXPECT_GT(summary.at_pointer("/pods/0/containers/0/cpu/usageCoreNanoSeconds").to_number<int64_t>(), 0);
  EXPECT_GT(summary.at_pointer("/pods/0/containers/0/memory/workingSetBytes").to_number<int64_t>(), 0);
  EXPECT_GT(summary.at_pointer("/pods/0/process_stats/process_count").to_number<int64_t>(), 0);
  EXPECT_EQ(summary.at_pointer("/pods/0/network/name"), "eth0");
  EXPECT_GE(summary.at_pointer("/pods/0/containers/0/rootfs/usedBytes").to_number<int64_t>(), 0);
  EXPECT_THAT(raw("/logs/").out, HasSubstr("<pre>\n"));
  EXPECT_THAT(raw("/metrics").out, HasSubstr("kubelet_running_pods 1\n"));
  EXPECT_THAT(raw("/metrics").out, HasSubstr("rest_client_requests_total{"));
  EXPECT_THAT(raw("/metrics/cadvisor").out,
              ::testing::ContainsRegex(
                  "container_cpu_usage_seconds_total\\{container=\"main\",id=\"[^\"]*\",image=\"keelson.example/"
                  "busybox:1\",name=\"[0-9a-f]*\",namespace=\"default\",pod=\"web\",cpu=\"total\"\\} [0-9]"));
  EXPECT_THAT(raw("/metrics/cadvisor").out, HasSubstr("interface=\"eth0\""));
  EXPECT_THAT(raw("/metrics/resource").out,
              ::testing::ContainsRegex(
                  "pod_memory_working_set_bytes\\{namespace=\"default\",pod=\"web\"\\} [0-9.e+]+ [0-9]+\n"));
  EXPECT_THAT(raw("/metrics/slis").out, HasSubstr("kubernetes_healthcheck{name=\"syncloop\",type=\"healthz\"} 1\n"));
  EXPECT_EQ(run({"curl", "-s", "http://127.0.0.1:10248/healthz"}).out, "ok");
  EXPECT_NE(run({"curl", "-s", "-m", "5", fmt::format("http://{}:10248/healthz", kAddress)}).code, 0)
      << "on loopback alone";
  EXPECT_NE(run({"curl", "-s", "-m", "5", "http://127.0.0.1:10255/pods"}).code, 0) << "there is no read-only port";
}

TEST_F(KubeletApiTest, WhoMayAskWhat) {
  run_pod("sleep 1000");
  allow("proxy-user", "get, create", "nodes/proxy");
  allow("metrics-user", "get", "nodes/metrics, nodes/stats");
  allow("fine-user", "get", "nodes/pods, nodes/healthz, nodes/configz");
  TestAuthority other;
  const auto& ours = control_plane_->authority();
  const struct {
    const char* who;
    std::vector<std::string> credentials;
  } users[] = {{"nobody", {}},
               {"a wrong token", {"-H", fmt::format("Authorization: Bearer {}", kCanary)}},
               {"another authority's", be(other, "other", "system:masters")},
               {"without a right", be(const_cast<TestAuthority&>(ours), "stranger")},
               {"proxy-user", be(const_cast<TestAuthority&>(ours), "proxy-user")},
               {"metrics-user", be(const_cast<TestAuthority&>(ours), "metrics-user")},
               {"fine-user", be(const_cast<TestAuthority&>(ours), "fine-user")},
               {"an administrator", be(const_cast<TestAuthority&>(ours), "admin", "system:masters")},
               {"the same by a token", {"-H", fmt::format("Authorization: Bearer {}", kAdminToken)}}};
  const struct {
    const char *method, *target;
    std::vector<int> statuses;  // by user
  } requests[] = {
      {"GET", "/healthz", {401, 401, 401, 403, 200, 403, 200, 200, 200}},
      {"GET", "/healthz/ping", {401, 401, 401, 403, 200, 403, 200, 200, 200}},
      {"GET", "/pods", {401, 401, 401, 403, 200, 403, 200, 200, 200}},
      {"GET", "/runningpods/", {401, 401, 401, 403, 200, 403, 200, 200, 200}},
      {"GET", "/configz", {401, 401, 401, 403, 200, 403, 200, 200, 200}},
      {"GET", "/stats/summary", {401, 401, 401, 403, 403, 200, 403, 200, 200}},
      {"GET", "/metrics", {401, 401, 401, 403, 403, 200, 403, 200, 200}},
      {"GET", "/metrics/cadvisor", {401, 401, 401, 403, 403, 200, 403, 200, 200}},
      {"GET", "/metrics/resource", {401, 401, 401, 403, 403, 200, 403, 200, 200}},
      {"GET", "/metrics/probes", {401, 401, 401, 403, 403, 200, 403, 200, 200}},
      {"GET", "/metrics/slis", {401, 401, 401, 403, 403, 200, 403, 200, 200}},
      {"GET", "/containerLogs/default/web/main", {401, 401, 401, 403, 200, 403, 403, 200, 200}},
      {"POST", "/run/default/web/main?cmd=id", {401, 401, 401, 403, 200, 403, 403, 200, 200}},
      // No upgrade is asked for: whoever may is told so.
      {"POST", "/exec/default/web/main?command=id&output=1", {401, 401, 401, 403, 400, 403, 403, 400, 400}},
      {"GET", "/exec/default/web/main?command=id&output=1", {401, 401, 401, 403, 400, 403, 403, 400, 400}},
      {"POST", "/attach/default/web/main?output=1", {401, 401, 401, 403, 400, 403, 403, 400, 400}},
      {"POST", "/portForward/default/web", {401, 401, 401, 403, 400, 403, 403, 400, 400}},
      {"GET", "/portForward/default/web?port=80", {401, 401, 401, 403, 400, 403, 403, 400, 400}},
      {"PUT", "/pods", {401, 401, 401, 403, 403, 403, 403, 405, 405}},
      {"DELETE", "/containerLogs/default/web/main", {401, 401, 401, 403, 403, 403, 403, 405, 405}},
      {"GET", "/", {401, 401, 401, 403, 404, 403, 403, 404, 404}},
      {"GET", "/metrics/../pods", {401, 401, 401, 403, 200, 403, 200, 200, 200}},  // curl cleans it
      {"GET", "/logs/", {401, 401, 401, 403, 403, 403, 403, 200, 200}},
      {"GET", "/logs/no-such-file", {401, 401, 401, 403, 403, 403, 403, 404, 404}},
      // The runtime makes no checkpoints.
      {"POST", "/checkpoint/default/web/main", {401, 401, 401, 403, 403, 403, 403, 500, 500}},
      {"POST", "/checkpoint/default/web/other", {401, 401, 401, 403, 403, 403, 403, 404, 404}},
      {"GET", "/checkpoint/default/web/main", {401, 401, 401, 403, 403, 403, 403, 405, 405}},
  };
  for (const auto& request : requests) {
    for (size_t user = 0; user < std::size(users); ++user) {
      const int status = ask(request.method, request.target, users[user].credentials);
      EXPECT_EQ(status, request.statuses[user])
          << request.method << " " << request.target << " by " << users[user].who << ": " << body_;
      if (status == 401) {
        EXPECT_EQ(body_, "Unauthorized");
      }
    }
  }
  ask("GET", "/metrics", users[3].credentials);
  EXPECT_EQ(body_, "Forbidden (user=stranger, verb=get, resource=nodes, subresource(s)=[metrics])\n");
  ask("POST", "/run/default/web/main?cmd=id%20-u", users[7].credentials);
  EXPECT_EQ(body_, "0\n");
  // No secret is anywhere: neither what was shown, nor what a pod was given.
  EXPECT_THAT(whole_log(), Not(HasSubstr(kAdminToken)));
  EXPECT_THAT(bodies_, Not(HasSubstr(kAdminToken)));
  EXPECT_THAT(bodies_, Not(HasSubstr(kCanary)));
  EXPECT_THAT(whole_log(), Not(HasSubstr(kCanary)));
  EXPECT_EQ(kubectl({"exec", "web", "--", "sh", "-c", "echo $CANARY"}).out, std::string(kCanary) + "\n");
  EXPECT_THAT(whole_log(), Not(HasSubstr(std::string("Bearer"))));
}

TEST_F(KubeletApiTest, WhileTheApiServerIsAwayWhatIsKnownHolds) {
  run_pod("sleep 1000");
  auto& ours = control_plane_->authority();
  const auto known = be(ours, "known", "system:masters");
  const auto late = be(ours, "late", "system:masters");
  const std::vector<std::string> token = {"-H", fmt::format("Authorization: Bearer {}", kAdminToken)};
  EXPECT_EQ(ask("GET", "/metrics", known), 200);
  EXPECT_EQ(ask("GET", "/metrics", token), 200);
  control_plane_->kill_api_server();
  EXPECT_EQ(ask("GET", "/metrics", known), 200);
  EXPECT_EQ(ask("GET", "/metrics", token), 200);
  EXPECT_EQ(ask("GET", "/metrics", late), 500) << "who may is not known";
  EXPECT_EQ(ask("GET", "/metrics", {"-H", "Authorization: Bearer another"}), 401);
  EXPECT_EQ(ask("GET", "/containerLogs/default/web/main", known), 500);
  control_plane_->start_api_server();
  wait_until("who may is known again", [&] { return ask("GET", "/metrics", late) == 200; });
}

}  // namespace
}  // namespace keelson::testing
