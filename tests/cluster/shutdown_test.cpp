// SPDX-License-Identifier: Apache-2.0
// The machine goes down: what a node of a real cluster does with its pods, with a stand-in for systemd-logind on a real
// D-Bus daemon.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "tests/support/cluster_images.h"
#include "tests/support/login1.h"
#include "tests/support/member_fixture.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ShutdownTest : public MemberTest {
 protected:
  static void SetUpTestSuite() { start_cluster(ControlPlane::Parts::api); }

  void SetUp() override {
    if (!Login1::available()) {
      GTEST_SKIP() << "SKIP: needs dbus-daemon";
    }
    MemberTest::SetUp();
    if (!IsSkipped()) {
      make_images(home() + "/images");
      ::setenv("DBUS_SYSTEM_BUS_ADDRESS", ("unix:path=" + home() + "/bus").c_str(), 1);
    }
  }
  void TearDown() override {
    ::unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
    if (!IsSkipped()) {
      kubectl({"delete", "pods", "-A", "--all", "--grace-period=1", "--timeout=60s"});
    }
    MemberTest::TearDown();
  }

  void join_with_periods() {
    join({"--client-ca-file", control_plane_->authority_file(), "--shutdown-grace-period", "25s",
          "--shutdown-grace-period-critical-pods", "10s"});
    wait_node_ready();
  }
  static void create_pod(const std::string& name, const std::string& spec = "") {
    const auto created = kubectl({"create", "-f", "-"}, fmt::format(R"(apiVersion: v1
kind: Pod
metadata: {{name: {}, namespace: kube-system}}
spec:
  nodeName: {}
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 60
{}  containers:
  - name: main
    image: keelson.example/busybox:1
    command: [sh, -c, "trap 'sleep 2; exit 0' TERM; while true; do sleep 0.1; done"]
)",
                                                                    name, kNode, spec));
    ASSERT_EQ(created.code, 0) << created.error;
  }
  static std::string field(const std::string& pod, const std::string& path) {
    return kubectl({"get", "pod", pod, "-n", "kube-system", "-o", "jsonpath={.status." + path + "}"}).out;
  }
  void expect_soon(const std::string& pod, const std::string& path, const std::string& wanted) {
    wait_until(fmt::format("{}: {} is {}", pod, path, wanted), [&] { return field(pod, path) == wanted; });
  }
  static std::string ended_at(const std::string& pod) {
    return field(pod, "containerStatuses[0].state.terminated.finishedAt");
  }
};

TEST_F(ShutdownTest, PodsEndByTheirPriorityBeforeTheMachineAndNoneBegins) {
  Login1 login(home(), 60s);
  join_with_periods();
  wait_until("the shutdown would wait", [&] { return !login.inhibitors().empty(); });
  EXPECT_THAT(login.inhibitors(), ElementsAre("shutdown kubelet delay"));
  create_pod("plain");
  create_pod("critical", "  priorityClassName: system-node-critical\n");
  expect_soon("plain", "phase", "Running");
  expect_soon("critical", "phase", "Running");

  login.prepare_for_shutdown(true);
  wait_until("the node is not ready", [] { return ready() == "False"; });
  EXPECT_EQ(node("{.status.conditions[?(@.type==\"Ready\")].reason} "
                 "{.status.conditions[?(@.type==\"Ready\")].message}"),
            "KubeletNotReady node is shutting down");
  create_pod("late");
  expect_soon("late", "reason", "NodeShutdown");
  EXPECT_EQ(field("late", "message"), "Pod was rejected: Pod was rejected as the node is shutting down.");
  wait_until("the machine may go", [&] { return login.inhibitors().empty(); });
  for (const char* pod : {"plain", "critical"}) {
    expect_soon(pod, "phase", "Failed");
    EXPECT_EQ(field(pod, "reason"), "Terminated");
    EXPECT_EQ(field(pod, "message"), "Pod was terminated in response to imminent node shutdown.");
    EXPECT_EQ(field(pod, "conditions[?(@.type==\"DisruptionTarget\")].reason"), "TerminationByKubelet");
  }
  EXPECT_LT(ended_at("plain"), ended_at("critical"));
  EXPECT_TRUE(control_plane_->has_event(kNode, "Shutdown manager detected shutdown event"));
  const auto metrics = kubectl({"get", "--raw", fmt::format("/api/v1/nodes/{}/proxy/metrics", kNode)}).out;
  EXPECT_THAT(metrics, HasSubstr("kubelet_graceful_shutdown_start_time_seconds 1"));
  EXPECT_THAT(metrics, HasSubstr("kubelet_graceful_shutdown_end_time_seconds 1"));

  login.prepare_for_shutdown(false);
  wait_node_ready();
  wait_until("the next one would wait, too", [&] { return login.inhibitors().size() == 1; });
  create_pod("after");
  expect_soon("after", "phase", "Running");
}

TEST_F(ShutdownTest, WithoutLogindTheNodeSaysSoOnceAndCarriesOn) {
  join_with_periods();
  create_pod("plain");
  expect_soon("plain", "phase", "Running");
  constexpr std::string_view kLine = "pods are not ended before the machine goes down: the system bus: ";
  const auto log = whole_log();
  const size_t first = log.find(kLine);
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(log.find(kLine, first + 1), std::string::npos);
}

}  // namespace
}  // namespace keelson::testing
