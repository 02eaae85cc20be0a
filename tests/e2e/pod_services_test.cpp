// SPDX-License-Identifier: Apache-2.0
// A node that is its own cluster: services select the pods that its agent runs, and the network role routes them.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "ebpf/node_links.h"
#include "ebpf/testing.h"
#include "tests/support/cluster_images.h"
#include "tests/support/node_fixture.h"

namespace keelson::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kService = R"(apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.111.80, selector: {app: web}, ports: [{port: 80, targetPort: http}]}
)";
constexpr const char* kServer = R"(apiVersion: v1
kind: Pod
metadata: {name: web-0, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: keelson.example/busybox:1
    command: [sh, -c, "echo served > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"]
    ports: [{name: http, containerPort: 8080}]
    readinessProbe: {tcpSocket: {port: http}, periodSeconds: 1}
)";
constexpr const char* kVisitor = R"(apiVersion: v1
kind: Pod
metadata: {name: visitor}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: keelson.example/busybox:1
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 1; done"]
)";

class PodServicesTest : public NodeTest {
 protected:
  void SetUp() override {
    if (auto reason = ebpf::testing::why_not(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    NodeTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    name_ = fmt::format("kl-pod-services-{}", ::getpid());
    // Sockets of nobody are translated: what pods send is, by the links' programs.
    cgroup_ = ebpf::cgroup2_root().value() + "/" + name_;
    fs::create_directories(cgroup_);
    make_images(home() + "/images");
    start_node({"--roles", "agent,runtime,network", "--bpf-dir", "/sys/fs/bpf/" + name_, "--socket-cgroup", cgroup_,
                "--remove-services-on-exit"});
  }
  void TearDown() override {
    NodeTest::TearDown();
    if (!name_.empty()) {
      fs::remove("/sys/fs/bpf/" + name_);
      EXPECT_FALSE(fs::exists("/sys/fs/bpf/" + name_)) << "pins are left";
      fs::remove(cgroup_);
    }
  }
  std::string visit() {
    auto done = keelson({"exec", "visitor", "--", "timeout", "5", "wget", "-qO-", "http://10.96.111.80:80/"});
    return done.code == 0 ? done.out : fmt::format("{}: {}{}", done.code, done.out, done.error);
  }

  std::string name_, cgroup_;
};

TEST_F(PodServicesTest, AServiceFollowsThePodsThatItSelects) {
  apply("service.yaml", kService);
  apply("visitor.yaml", kVisitor);
  wait_ready("visitor");
  wait_until("nobody serves it", [&] { return visit().find("Connection refused") != std::string::npos; });
  apply("server.yaml", kServer);
  wait_ready("web-0");
  wait_until("the service answers", [&] { return visit() == "served\n"; });
  remove("server.yaml");
  wait_gone("web-0");
  EXPECT_NE(visit().find("Connection refused"), std::string::npos) << visit();
}

}  // namespace
}  // namespace keelson::testing
