// SPDX-License-Identifier: Apache-2.0
// The example pods as users know them, images pulled by name through a registry mirror.
#include <fmt/format.h>

#include <fstream>

#include "tests/support/cluster_images.h"
#include "tests/support/node_fixture.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;

constexpr const char* kFrontend = R"(apiVersion: v1
kind: Pod
metadata:
  name: frontend
spec:
  containers:
  - name: db
    image: mysql
    resources:
      requests:
        memory: "64Mi"
        cpu: "250m"
      limits:
        memory: "128Mi"
        cpu: "500m"
  - name: wp
    image: wordpress
    resources:
      requests:
        memory: "64Mi"
        cpu: "250m"
      limits:
        memory: "128Mi"
        cpu: "500m"
)";

constexpr const char* kLiveness = R"(apiVersion: v1
kind: Pod
metadata:
  labels:
    test: liveness
  name: liveness-http
spec:
  containers:
  - args:
    - /server
    image: gcr.io/google_containers/liveness
    livenessProbe:
      httpGet:
        path: /healthz
        port: 8080
        httpHeaders:
        - name: X-Custom-Header
          value: Awesome
      initialDelaySeconds: 15
      timeoutSeconds: 1
    name: liveness
)";

class ExamplesTest : public NodeTest {};

std::string cgroup_file(const std::string& controller, const std::string& pod_path, const std::string& file) {
  std::ifstream in("/sys/fs/cgroup/" + controller + pod_path + "/" + file);
  std::string text;
  std::getline(in, text);
  return text;
}

/// The cgroup path of a process in one v1 hierarchy.
std::string cgroup_of(const std::string& pid, const std::string& controller) {
  std::ifstream in("/proc/" + pid + "/cgroup");
  for (std::string line; std::getline(in, line);) {
    auto first = line.find(':');
    auto second = line.find(':', first + 1);
    auto names = "," + line.substr(first + 1, second - first - 1) + ",";
    if (names.find("," + controller + ",") != std::string::npos) {
      return line.substr(second + 1);
    }
  }
  return "";
}

TEST_F(ExamplesTest, FrontendsCgroupsAreExact) {
  MirrorRegistry registry(home() + "/registry",
                          {"docker.io/library/mysql:latest", "docker.io/library/wordpress:latest"});
  start_node();
  apply("frontend.yaml", kFrontend);
  wait_ready("frontend");
  for (const char* name : {"db", "wp"}) {
    auto pid = process_of("frontend", name);
    ASSERT_FALSE(pid.empty()) << name;
    EXPECT_EQ(cgroup_file("cpu", cgroup_of(pid, "cpu"), "cpu.shares"), "256") << name;
    EXPECT_EQ(cgroup_file("cpu", cgroup_of(pid, "cpu"), "cpu.cfs_quota_us"), "50000") << name;
    EXPECT_EQ(cgroup_file("cpu", cgroup_of(pid, "cpu"), "cpu.cfs_period_us"), "100000") << name;
    EXPECT_EQ(cgroup_file("memory", cgroup_of(pid, "memory"), "memory.limit_in_bytes"), "134217728") << name;
  }
}

TEST_F(ExamplesTest, LivenessFailureRestartsWithTheStatusInTheEvent) {
  MirrorRegistry registry(home() + "/registry", {"gcr.io/google_containers/liveness:latest"});
  start_node();
  apply("liveness.yaml", kLiveness);
  wait_until("the first restart", [&] { return restarts("liveness-http") >= 1; }, 150s);
  auto events = keelson({"events", "--for", "pod/liveness-http"}).out;
  EXPECT_NE(events.find("Liveness probe failed: HTTP probe failed with statuscode: 500"), std::string::npos) << events;
  EXPECT_NE(events.find("Container liveness failed liveness probe, will be restarted"), std::string::npos) << events;
}

}  // namespace
}  // namespace keelson::testing
