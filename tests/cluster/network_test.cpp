// SPDX-License-Identifier: Apache-2.0
// The role network with a real kube-apiserver 1.34 as its source: what it learns, and that it keeps it.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "ebpf/node_links.h"
#include "ebpf/testing.h"
#include "tests/support/control_plane.h"

namespace keelson::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kService = R"(
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.77, ports: [{port: 80}]}
)";
constexpr const char* kHeadless = R"(
apiVersion: v1
kind: Service
metadata: {name: none}
spec: {clusterIP: None, ports: [{port: 80}]}
)";

std::string slice(const std::string& address) {
  return fmt::format(R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-1, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{port: 8080}}]
endpoints: [{{addresses: [{}]}}]
)",
                     address);
}

class NetworkRoleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kubernetes_program().empty()) {
      GTEST_SKIP() << "SKIP: needs the stock Kubernetes programs: ./dev peers";
    }
    if (auto reason = ebpf::testing::why_not(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    name_ = fmt::format("kl-cluster-{}", ::getpid());
    home_ = fs::temp_directory_path() / name_;
    fs::create_directories(home_);
    cgroup_ = ebpf::cgroup2_root().value() + "/" + name_;
    fs::create_directories(cgroup_);
    enter_node_network("10.250.0.1");
    control_plane_ = std::make_unique<ControlPlane>(home_ / "control-plane", "node-1");
    control_plane_->start();
  }
  void TearDown() override {
    if (name_.empty()) {
      return;
    }
    if (daemon_.alive()) {
      EXPECT_EQ(daemon_.stop(), 0);
    }
    if (HasFailure()) {
      std::fputs(read_text(log()).c_str(), stderr);
    }
    control_plane_.reset();
    fs::remove("/sys/fs/bpf/" + name_);
    EXPECT_FALSE(fs::exists("/sys/fs/bpf/" + name_)) << "pins are left";
    fs::remove(cgroup_);
    fs::remove_all(home_);
  }

  std::string log() const { return home_ / "keelson.log"; }
  void start_daemon() {
    daemon_ = Background(
        {std::string(::getenv("KEELSON_BIN")) + "/keelson", "--run", home_ / "run", "node", "--roles", "network",
         "--node-name", "node-1", "--root", home_ / "root", "--kubeconfig", control_plane_->admin_kubeconfig(),
         "--bpf-dir", "/sys/fs/bpf/" + name_, "--socket-cgroup", cgroup_, "--remove-services-on-exit"},
        log());
  }
  void apply(const std::string& yaml) {
    auto done = control_plane_->kubectl({"apply", "-f", "-"}, yaml);
    ASSERT_EQ(done.code, 0) << done.error;
  }
  /// Until the log says this `count` times.
  void wait_for(const std::string& text, int count = 1) {
    for (int i = 0; i < 6000; i++) {
      auto all = read_text(log());
      int found = 0;
      for (size_t at = all.find(text); at != all.npos; at = all.find(text, at + 1)) {
        found++;
      }
      if (found >= count) {
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    FAIL() << "the log does not say '" << text << "' " << count << " times";
  }

  std::string name_, cgroup_;
  fs::path home_;
  std::unique_ptr<ControlPlane> control_plane_;
  Background daemon_;
};

TEST_F(NetworkRoleTest, ServicesComeFromTheApiServerAndOutliveIt) {
  apply("apiVersion: v1\nkind: Node\nmetadata: {name: node-1}\n");
  apply(kService);
  apply(kHeadless);
  apply(slice("10.1.0.1"));
  start_daemon();
  wait_for("2 services are routed, 0 could not be");  // default/kubernetes is the other
  apply(slice("10.1.0.2"));
  wait_for("(1 changed");

  control_plane_->kill_api_server();
  wait_for("what was known stays in force");
  control_plane_->start_api_server();
  apply(slice("10.1.0.3"));
  wait_for("(1 changed", 2);
  // Nothing was taken away meanwhile.
  EXPECT_EQ(read_text(log()).find("0 services are routed"), std::string::npos);
}

}  // namespace
}  // namespace keelson::testing
