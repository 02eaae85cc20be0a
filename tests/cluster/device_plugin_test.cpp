// SPDX-License-Identifier: Apache-2.0
// Devices of a device plugin: told in the Node, given to pods, kept through restarts, and free again.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "agent/pod_resources/proto/podresources.grpc.pb.h"
#include "tests/support/member_pods.h"

namespace keelson::testing {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* kResource = "example.com/dongle";
/// Runs if it has what the plugin gives, and says in the shared folder which devices these are.
constexpr const char* kUser =
    "test $(head -c 3 /dev/dongle | wc -c) = 3 && echo $DONGLE > /dongle/$(cat /proc/sys/kernel/hostname) && trap "
    "'exit 0' TERM; "
    "while test -n $DONGLE; do sleep 0.1; done";

class DevicePluginTest : public MemberPodsTest {
 protected:
  static void SetUpTestSuite() { start_cluster(ControlPlane::Parts::all); }

  void SetUp() override {
    MemberPodsTest::SetUp();
    if (!IsSkipped()) {
      fs::create_directories(folder());
      write_devices("a Healthy\nb Healthy\n");
      start_agent();
    }
  }
  void TearDown() override {
    if (!IsSkipped()) {
      kubectl({"delete", "pods", "--all", "--grace-period=1", "--timeout=60s"});
      plugin_.kill();
    }
    MemberPodsTest::TearDown();
  }

  std::string root() const { return home() + "/root"; }
  std::string folder() const { return home() + "/plugin"; }
  std::string calls() const { return read_text(folder() + "/calls"); }
  static std::string metrics() {
    return kubectl({"get", "--raw", fmt::format("/api/v1/nodes/{}/proxy/metrics", kNode)}).out;
  }

  void start_agent() {
    join({"--client-ca-file", control_plane_->authority_file()});
    wait_node_ready();
  }
  void write_devices(const std::string& lines) const {
    std::ofstream(folder() + "/devices.new") << lines;
    fs::rename(folder() + "/devices.new", folder() + "/devices");
  }
  void start_plugin(const std::vector<std::string>& flags = {}) {
    std::vector<std::string> command = {fs::path(::getenv("KEELSON_BIN")).parent_path() / "test/device-plugin",
                                        "--resource",
                                        kResource,
                                        "--folder",
                                        folder(),
                                        "--node",
                                        root() + "/device-plugins"};
    command.insert(command.end(), flags.begin(), flags.end());
    plugin_ = Background(command, home() + "/plugin.log");
  }
  /// In the Node's status: "<capacity>/<allocatable>".
  static std::string told() {
    return node("{.status.capacity.example\\.com/dongle}/{.status.allocatable.example\\.com/dongle}");
  }
  void expect_told(const std::string& wanted) {
    wait_until("the Node says " + wanted, [&] { return told() == wanted; });
    if (HasFatalFailure()) {
      FAIL() << told() << "\n" << log();
    }
  }
  static void create_user(const std::string& pod, int devices) {
    create_pod(pod, kUser, fmt::format("    resources: {{limits: {{{}: {}}}}}\n", kResource, devices));
  }
  /// A pod is Ready a moment before its process says what it has.
  void expect_devices(const std::string& pod, const std::string& wanted) {
    expect_ready(pod);
    wait_until(pod + " has " + wanted, [&] { return read_text(folder() + "/shared/" + pod) == wanted + "\n"; });
  }
  void remove_pod(const std::string& pod) {
    kubectl({"delete", "pod", pod, "--grace-period=1", "--wait=false"});
    wait_until(pod + " has gone", [&] { return kubectl({"get", "pod", pod}).code != 0; });
  }

  Background plugin_;
};

TEST_F(DevicePluginTest, PodsHaveDevicesForThemselves) {
  start_plugin();
  expect_told("2/2");
  create_user("first", 1);
  expect_devices("first", "a");
  EXPECT_THAT(calls(), HasSubstr("Allocate a\nPreStartContainer a\n"));
  create_user("greedy", 2);
  expect_soon("greedy", "reason", "UnexpectedAdmissionError");
  EXPECT_EQ(field("greedy", "phase"), "Failed");
  EXPECT_EQ(field("greedy", "message"),
            "Pod was rejected: Allocate failed due to requested number of devices unavailable for example.com/dongle. "
            "Requested: 2, Available: 1, which is unexpected");
  EXPECT_TRUE(has_event("greedy", "Warning UnexpectedAdmissionError Allocate failed due to"));
  create_user("second", 1);
  expect_devices("second", "b");
  remove_pod("first");
  create_user("third", 1);
  expect_devices("third", "a");  // which is free again
  const auto text = metrics();
  EXPECT_THAT(text, HasSubstr("kubelet_admission_rejections_total{reason=\"UnexpectedAdmissionError\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("kubelet_device_plugin_registration_total{resource_name=\"example.com/dongle\"} 1\n"));
  EXPECT_THAT(
      text, HasSubstr("kubelet_device_plugin_alloc_duration_seconds_count{resource_name=\"example.com/dongle\"} 3\n"));
}

TEST_F(DevicePluginTest, AMonitorSeesWhoHasWhich) {
  start_plugin();
  expect_told("2/2");
  create_user("first", 1);
  expect_ready("first");
  const auto stub = v1::PodResourcesLister::NewStub(
      grpc::CreateChannel("unix:" + root() + "/pod-resources/kubelet.sock", grpc::InsecureChannelCredentials()));
  v1::ListPodResourcesResponse pods;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(stub->List(&context, {}, &pods).ok());
  }
  ASSERT_EQ(pods.pod_resources_size(), 1);
  ASSERT_EQ(pods.pod_resources(0).containers(0).devices_size(), 1);
  const auto& device = pods.pod_resources(0).containers(0).devices(0);
  EXPECT_EQ(device.resource_name(), kResource);
  ASSERT_EQ(device.device_ids_size(), 1);
  EXPECT_EQ(device.device_ids(0), "a");
  v1::AllocatableResourcesResponse all;
  grpc::ClientContext context;
  ASSERT_TRUE(stub->GetAllocatableResources(&context, {}, &all).ok());
  EXPECT_EQ(all.devices_size(), 2) << "in use or not";
}

TEST_F(DevicePluginTest, TheSchedulerKnowsWhatIsLeft) {
  start_plugin();
  expect_told("2/2");
  create_user("first", 1);
  expect_ready("first");
  const auto created = kubectl({"create", "-f", "-"}, fmt::format(R"(apiVersion: v1
kind: Pod
metadata: {{name: waiting}}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: keelson.example/busybox:1
    command: [sh, -c, "{}"]
    resources: {{limits: {{{}: 2}}}}
)",
                                                                  kUser, kResource));
  ASSERT_EQ(created.code, 0) << created.error;
  wait_until("it is told", [] {
    return field("waiting", "conditions[?(@.type==\"PodScheduled\")].message")
               .find("Insufficient example.com/dongle") != std::string::npos;
  });
  remove_pod("first");
  expect_devices("waiting", "a,b");
}

TEST_F(DevicePluginTest, TheNodeSaysHowManyAreHealthy) {
  start_plugin();
  expect_told("2/2");
  write_devices("a Healthy\nb Unhealthy\n");
  expect_told("2/1");
  write_devices("a Healthy\nb Healthy\nc Healthy\n");
  expect_told("3/3");
}

TEST_F(DevicePluginTest, APluginThatEndsIsMissedUntilItIsBack) {
  start_plugin();
  expect_told("2/2");
  create_user("first", 1);
  expect_ready("first");
  plugin_.kill();
  expect_told("2/0");
  create_user("early", 1);
  expect_soon("early", "reason", "UnexpectedAdmissionError");
  EXPECT_THAT(field("early", "message"), HasSubstr("no healthy devices present"));
  EXPECT_EQ(ready("first"), "True");
  start_plugin();
  expect_told("2/2");
  create_user("late", 1);
  expect_devices("late", "b");
}

TEST_F(DevicePluginTest, APodKeepsItsDevicesThroughADeathOfTheAgent) {
  start_plugin();
  expect_told("2/2");
  create_user("first", 1);
  expect_ready("first");
  const auto began = field("first", "containerStatuses[0].state.running.startedAt");
  kill_node();
  fs::remove(folder() + "/calls");
  start_agent();
  wait_until("the plugin has registered again", [this] { return calls().find("registered yes") != std::string::npos; });
  write_devices("a Healthy\nb Healthy\nc Healthy\n");
  expect_told("3/3");
  create_user("second", 2);
  expect_devices("second", "b,c");
  create_user("third", 1);
  expect_soon("third", "reason", "UnexpectedAdmissionError");
  EXPECT_EQ(ready("first"), "True");
  EXPECT_EQ(field("first", "containerStatuses[0].state.running.startedAt"), began);
}

TEST_F(DevicePluginTest, APodThatGoesWhileTheAgentIsDeadLeavesItsDevices) {
  start_plugin();
  expect_told("2/2");
  create_user("first", 2);
  expect_ready("first");
  kill_node();
  kubectl({"delete", "pod", "first", "--force", "--grace-period=0"});
  start_agent();
  write_devices("a Healthy\nb Healthy\nc Healthy\n");
  expect_told("3/3");
  wait_until("nothing is left of it", [this] { return fs::is_empty(root() + "/pods"); });
  create_user("second", 3);
  expect_devices("second", "a,b,c");
}

TEST_F(DevicePluginTest, APluginMayRegisterByTheRegistryToo) {
  start_plugin({"--registry", root() + "/plugins_registry"});
  expect_told("2/2");
  create_user("first", 2);
  expect_devices("first", "a,b");
  plugin_.stop();
  expect_told("2/0");
}

}  // namespace
}  // namespace keelson::testing
