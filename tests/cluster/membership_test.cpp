// SPDX-License-Identifier: Apache-2.0
// A node of a real cluster: registered, Ready, its Lease renewed; and what kubectl sees of it when things go wrong.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/clock.h"
#include "tests/support/member_fixture.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
namespace fs = std::filesystem;

constexpr const char* kTransitions = "{.metadata.uid} {.status.conditions[*].lastTransitionTime}";

class MembershipTest : public MemberTest {
 protected:
  static void SetUpTestSuite() { start_cluster(ControlPlane::Parts::api); }
};

TEST_F(MembershipTest, IsANodeAmongNodes) {
  join({"--node-labels", "disk=ssd", "--register-with-taints", "dedicated=lab:NoSchedule", "--max-pods", "50",
        "--system-reserved", "cpu=100m,memory=64Mi", "--eviction-hard", "memory.available<1Mi"});
  wait_node_ready();
  const auto line = kubectl({"get", "nodes", "-o", "wide"}).out;
  EXPECT_THAT(line, HasSubstr("Ready"));
  EXPECT_THAT(line, HasSubstr("v1.34.4+keelson."));
  EXPECT_THAT(line, HasSubstr("keelson://"));
  EXPECT_THAT(line, HasSubstr(kAddress));
  EXPECT_EQ(node("{.metadata.labels.disk}"), "ssd");
  EXPECT_EQ(node("{.metadata.labels.kubernetes\\.io/hostname}"), kNode);
  EXPECT_EQ(node("{.metadata.labels.beta\\.kubernetes\\.io/os}"), "linux");
  EXPECT_THAT(node("{.spec.taints}"), HasSubstr(R"({"effect":"NoSchedule","key":"dedicated","value":"lab"})"));
  EXPECT_EQ(
      node("{.status.addresses}"),
      fmt::format(R"([{{"address":"{}","type":"InternalIP"}},{{"address":"{}","type":"Hostname"}}])", kAddress, kNode));
  EXPECT_EQ(node("{.status.capacity.pods}"), "50");
  EXPECT_THAT(node("{.status.allocatable.cpu}"), ::testing::EndsWith("900m"));
  EXPECT_EQ(node("{.status.conditions[*].type}"), "MemoryPressure DiskPressure PIDPressure Ready");
  EXPECT_EQ(node("{.status.conditions[3].message}"), "kubelet is posting ready status");
  EXPECT_EQ(node("{.status.features.supplementalGroupsPolicy}"), "true");
  EXPECT_EQ(node("{.status.nodeInfo.bootID}"), [] {
    auto id = read_text("/proc/sys/kernel/random/boot_id");
    return id.substr(0, id.find('\n'));
  }());
  EXPECT_EQ(kubectl({"describe", "node", kNode}).code, 0);

  wait_until("the Lease is there", [] {
    return lease("{.spec.holderIdentity} {.spec.leaseDurationSeconds}") == fmt::format("{} 40", kNode);
  });
  EXPECT_EQ(lease("{.metadata.ownerReferences[0].uid}"), node("{.metadata.uid}"));
  const auto first = lease("{.spec.renewTime}");
  wait_until("the Lease is renewed", [&] { return lease("{.spec.renewTime}") > first; }, 20s);
}

TEST_F(MembershipTest, KilledAndStartedAgainItWasNeverAway) {
  join();
  wait_node_ready();
  const auto before = node(kTransitions);
  ASSERT_EQ(kubectl({"label", "node", kNode, "team=storage"}).code, 0);
  ASSERT_EQ(kubectl({"cordon", kNode}).code, 0);
  const auto seen = home() + "/ready.log";
  Background watch(
      control_plane_->kubectl_command({"get", "node", kNode, "--watch", "-o",
                                       "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}"}),
      seen);
  wait_until("the watch begins", [&] { return !read_text(seen).empty(); });
  for (int i = 0; i < 3; ++i) {
    kill_node();
    const auto renewed = lease("{.spec.renewTime}");
    join();
    wait_until("the Lease is renewed", [&] { return lease("{.spec.renewTime}") > renewed; });
    EXPECT_EQ(node(kTransitions), before);
  }
  wait_node_ready();
  EXPECT_EQ(node("{.metadata.labels.team} {.spec.unschedulable}"), "storage true");
  watch.kill();
  EXPECT_THAT(read_text(seen), StartsWith("True\n"));
  EXPECT_THAT(read_text(seen), Not(HasSubstr("False")));
}

TEST_F(MembershipTest, ANetworkThatIsNotThereYetIsSaid) {
  const auto list = home() + "/cni/net.d/10-keelson.conflist";
  fs::rename(list, home() + "/aside");
  join();
  wait_until("the node is there, and says why it is not Ready", [] {
    return node("{.status.conditions[3].message}")
        .starts_with("container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:");
  });
  EXPECT_EQ(ready(), "False");
  const auto created = kubectl({"create", "-f", "-"}, fmt::format(R"(apiVersion: v1
kind: Pod
metadata: {{name: waits}}
spec:
  nodeName: {}
  automountServiceAccountToken: false
  containers: [{{name: main, image: "keelson.example/busybox:1", command: [sleep, "1000"]}}]
)",
                                                                  kNode));
  ASSERT_EQ(created.code, 0) << created.error;
  ASSERT_TRUE(control_plane_->has_event("waits",
                                        "Warning NetworkNotReady network is not ready: container runtime network not "
                                        "ready: NetworkReady=false reason:NetworkPluginNotReady message:"));
  EXPECT_THAT(control_plane_->events_of("waits"), Not(HasSubstr("FailedCreatePodSandBox")));
  fs::rename(home() + "/aside", list);
  wait_node_ready(10s);
  wait_until("the pod has its network",
             [] { return !kubectl({"get", "pod", "waits", "-o", "jsonpath={.status.podIP}"}).out.empty(); });
  kubectl({"delete", "pod", "waits", "--grace-period=1", "--timeout=60s"});
}

TEST_F(MembershipTest, ADeadConnectionIsReplacedInTime) {
  join();
  wait_node_ready();
  wait_until("the Lease is there", [] { return lease_age() < 10s; });
  const auto dead = connections();
  ASSERT_GE(dead.size(), 2U) << "one for the Lease, one for the Node";
  ASSERT_NO_FATAL_FAILURE(black_hole(dead));
  const auto since = real_clock().wall();
  ASSERT_NO_FATAL_FAILURE(expect_renewed_within(20s, since));
  const auto now = connections();
  EXPECT_TRUE(std::ranges::any_of(now, [&](const auto& port) { return !dead.contains(port); }));
  EXPECT_EQ(ready(), "True");
}

TEST_F(MembershipTest, AnApiServerThatWasAwayIsToldSoon) {
  join();
  wait_node_ready();
  const auto before = node(kTransitions);
  control_plane_->kill_api_server();
  std::this_thread::sleep_for(20s);  // the outage itself
  const auto start = real_clock().wall();
  control_plane_->start_api_server();
  // What the start takes, and the longest wait between two tries.
  const auto limit = std::chrono::ceil<std::chrono::seconds>(real_clock().wall() - start) + 7s;
  ASSERT_NO_FATAL_FAILURE(expect_renewed_within(limit, start));
  EXPECT_EQ(node(kTransitions), before);
}

TEST_F(MembershipTest, TheKubeletsConfigurationIsTaken) {
  std::ofstream(home() + "/kubelet.yaml") << R"(apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 42
systemReserved: {memory: 16Mi}
evictionHard: {memory.available: 1Mi}
registerWithTaints: [{key: fresh, effect: NoSchedule}]
topologyManagerPolicy: best-effort
)";
  join({"--kubelet-config", home() + "/kubelet.yaml"});
  wait_node_ready();
  EXPECT_EQ(node("{.status.capacity.pods}"), "42");
  EXPECT_THAT(node("{.spec.taints}"), HasSubstr("fresh"));
  EXPECT_THAT(whole_log(),
              HasSubstr("topologyManagerPolicy: best-effort is not applied: memory and devices are not pinned"));
}

}  // namespace
}  // namespace keelson::testing
