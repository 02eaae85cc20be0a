// SPDX-License-Identifier: Apache-2.0
// The unmodified kubelet 1.34 on our runtime: pods from a real kube-apiserver, and kubectl's ways into them.
#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>

#include "tests/support/cluster_images.h"
#include "tests/support/control_plane.h"
#include "tests/support/node_fixture.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr const char* kNode = "kubelet-node";
constexpr const char* kAddress = "10.250.0.1";

class KubeletTest : public NodeTest {
 protected:
  static void SetUpTestSuite() { control_plane_ = start_control_plane(kNode, kAddress); }
  static void TearDownTestSuite() { control_plane_.reset(); }

  void SetUp() override {
    if (kubernetes_program().empty()) {
      GTEST_SKIP() << "SKIP: needs the stock Kubernetes programs: ./dev peers";
    }
    NodeTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    make_images(home() + "/images");
    start_runtime();
    start_kubelet();
  }
  void TearDown() override {
    if (kubelet_.pid() > 0) {
      kubectl({"delete", "pods", "--all", "--wait", "--timeout=60s"});
      kubelet_.stop();
      ::umount2((home() + "/kubelet").c_str(), MNT_DETACH);  // the kubelet binds it onto itself
      for_each_hierarchy([](const std::string& root) { run({"find", root, "-depth", "-type", "d", "-delete"}); });
    }
    NodeTest::TearDown();
  }

  void start_kubelet() {
    for_each_hierarchy([](const std::string& root) { fs::create_directory(root); });
    std::ofstream(home() + "/kubelet.yaml") << fmt::format(R"(apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}
authorization: {{mode: AlwaysAllow}}
cgroupDriver: cgroupfs
cgroupRoot: {}
failCgroupV1: false
failSwapOn: false
evictionHard: {{memory.available: 1Mi}}
containerRuntimeEndpoint: unix://{}
podLogsDir: {}/logs
)",
                                                           cgroup_root(), runtime_socket(), home());
    kubelet_ = Background({kubernetes_program(), "kubelet", "--config", home() + "/kubelet.yaml", "--kubeconfig",
                           control_plane_->node_kubeconfig(), "--hostname-override", kNode, "--node-ip", kAddress,
                           "--root-dir", home() + "/kubelet", "--cert-dir", home() + "/kubelet-certificates"},
                          home() + "/kubelet.log");
    expect_soon("the node is Ready",
                {"get", "node", kNode, "-o", "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}"}, "True");
  }

  Output kubectl(const std::vector<std::string>& arguments, const std::string& input = "") {
    return control_plane_->kubectl(arguments, input);
  }
  Background kubectl_in_background(const std::vector<std::string>& arguments, const std::string& log_file) {
    return {control_plane_->kubectl_command(arguments), home() + "/" + log_file};
  }
  /// Until kubectl prints just `wanted`.
  void expect_soon(const std::string& what, const std::vector<std::string>& arguments, const std::string& wanted) {
    wait_until(what, [&] { return kubectl(arguments).out == wanted; });
    if (HasFatalFailure()) {
      FAIL() << what << ": " << kubectl(arguments).out << run({"tail", "-n", "20", home() + "/kubelet.log"}).out;
    }
  }
  void expect_ready(const std::string& name) {
    expect_soon(name + " is ready", {"get", "pod", name, "-o", "jsonpath={.status.containerStatuses[*].ready}"},
                "true");
  }
  /// A field of the first container's status.
  std::string container_field(const std::string& name, const std::string& field) {
    return kubectl({"get", "pod", name, "-o", "jsonpath={.status.containerStatuses[0]." + field + "}"}).out;
  }
  void create(const std::string& name, const std::string& container, const std::string& pod = "") {
    auto created = kubectl({"create", "-f", "-"}, fmt::format(R"(apiVersion: v1
kind: Pod
metadata: {{name: {}, namespace: default}}
spec:
  nodeName: {}
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  dnsPolicy: Default
{}  containers:
  - name: main
    image: keelson.example/busybox:1
{}
)",
                                                              name, kNode, pod, container));
    ASSERT_EQ(created.code, 0) << created.error;
  }

  static inline OwnControlPlane control_plane_;

 private:
  void for_each_hierarchy(const std::function<void(const std::string&)>& action) {
    for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup")) {
      if (hierarchy.is_directory() && !hierarchy.is_symlink()) {
        action(hierarchy.path().string() + cgroup_root());
      }
    }
  }

  Background kubelet_;
};

TEST_F(KubeletTest, RunsProbesAndRestartsAPod) {
  create("probed", R"(
    command: [sh, -c, "while ! [ -e /tmp/go ]; do sleep 0.1; done; touch /tmp/ready /tmp/alive; sleep 1000"]
    startupProbe: {exec: {command: [cat, /tmp/alive]}, periodSeconds: 1, failureThreshold: 60}
    readinessProbe: {exec: {command: [cat, /tmp/ready]}, periodSeconds: 1}
    livenessProbe: {exec: {command: [cat, /tmp/alive]}, periodSeconds: 1, failureThreshold: 1}
    resources: {limits: {cpu: 500m, memory: 64Mi}})");
  expect_soon("it runs", {"get", "pod", "probed", "-o", "jsonpath={.status.phase}"}, "Running");
  EXPECT_EQ(container_field("probed", "ready"), "false");
  ASSERT_EQ(kubectl({"exec", "probed", "--", "touch", "/tmp/go"}).code, 0);
  expect_ready("probed");
  EXPECT_EQ(container_field("probed", "containerID").substr(0, 10), "keelson://");
  ASSERT_EQ(kubectl({"exec", "probed", "--", "rm", "/tmp/alive"}).code, 0);
  expect_soon("the liveness probe restarts it",
              {"get", "pod", "probed", "-o", "jsonpath={.status.containerStatuses[0].restartCount}"}, "1");
  EXPECT_EQ(container_field("probed", "lastState.terminated.exitCode"), "137");
  EXPECT_TRUE(control_plane_->has_event("probed", "Liveness probe failed: cat: can't open '/tmp/alive'"));
}

TEST_F(KubeletTest, KubectlGetsIn) {
  create("open", R"(
    command: [sh, -c, "echo first line; mkdir /www; echo page > /www/index.html; exec httpd -f -p 8080 -h /www"]
    readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1})");
  expect_ready("open");
  EXPECT_EQ(kubectl({"logs", "open"}).out, "first line\n");
  EXPECT_EQ(kubectl({"exec", "open", "--", "sh", "-c", "echo out; echo error >&2"}).out, "out\n");
  EXPECT_EQ(kubectl({"exec", "open", "--", "sh", "-c", "exit 3"}).code, 3);
  EXPECT_EQ(kubectl({"exec", "-i", "open", "--", "md5sum"}, "the input").out.substr(0, 8), "46fba79b");

  std::ofstream(home() + "/file") << "copied";
  EXPECT_EQ(kubectl({"cp", home() + "/file", "open:/tmp/file"}).code, 0);
  EXPECT_EQ(kubectl({"exec", "open", "--", "cat", "/tmp/file"}).out, "copied");

  // Attached, its output comes; it is asked for by somebody else meanwhile.
  auto attached = kubectl_in_background({"attach", "open"}, "attach.log");
  auto forward = kubectl_in_background({"port-forward", "pod/open", "18080:8080"}, "forward.log");
  wait_until("the page comes through port-forward",
             [] { return run({"curl", "-s", "-m", "30", "http://127.0.0.1:18080/"}).out == "page\n"; });
  EXPECT_TRUE(attached.alive()) << run({"cat", home() + "/attach.log"}).out;
}

TEST_F(KubeletTest, APodOfItsOwnUsers) {
  create("mapped", R"(
    command: [sh, -c, "cat /proc/self/uid_map; touch /data/file; ls -ln /data | grep -c ' 0 .* 0 '; sleep 1000"]
    volumeMounts: [{name: data, mountPath: /data}])",
         "  hostUsers: false\n  volumes: [{name: data, emptyDir: {}}]\n");
  expect_ready("mapped");
  std::string log;
  wait_until("it has printed", [&] { return std::ranges::count(log = kubectl({"logs", "mapped"}).out, '\n') == 2; });
  EXPECT_TRUE(std::regex_match(log, std::regex(" +0 +[1-9][0-9]+ +65536\n1\n"))) << log;
  EXPECT_EQ(kubectl({"exec", "mapped", "--", "id", "-u"}).out, "0\n");
}

TEST_F(KubeletTest, TheRuntimeMayDieUnderIt) {
  create("steady", R"(
    command: [sh, -c, "i=0; while true; do echo $i; i=$((i+1)); sleep 0.1; done"])");
  expect_ready("steady");
  const auto id = container_field("steady", "containerID");
  kill_node();
  start_runtime();
  // The kubelet waits a little before it tries the runtime's socket again.
  wait_until("kubectl gets in again",
             [this] { return kubectl({"exec", "steady", "--", "echo", "still"}).out == "still\n"; });
  create("later", R"(
    command: [sleep, "1000"])");
  expect_ready("later");
  EXPECT_EQ(container_field("steady", "containerID"), id);
  EXPECT_EQ(container_field("steady", "restartCount"), "0");
  EXPECT_EQ(kubectl({"logs", "steady"}).out.substr(0, 6), "0\n1\n2\n");
  EXPECT_EQ(kubectl({"delete", "pod", "steady", "--timeout=60s"}).code, 0);
}

}  // namespace
}  // namespace keelson::testing
