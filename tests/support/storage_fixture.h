// SPDX-License-Identifier: Apache-2.0
// Claims and a CSI driver, on a node that a test joins to a real control plane.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/member_pods.h"

namespace keelson::testing {

inline constexpr const char* kDriver = "disk.example.com";

/// With the controllers that bind claims and make attachments; nobody attaches but the tests.
class StorageTest : public MemberPodsTest {
 protected:
  static void SetUpTestSuite() { start_cluster(ControlPlane::Parts::all); }

  void SetUp() override {
    MemberPodsTest::SetUp();
    if (!IsSkipped()) {
      join({"--client-ca-file", control_plane_->authority_file()});
      wait_node_ready();
    }
  }
  void TearDown() override {
    if (!IsSkipped()) {
      kubectl({"delete", "pods", "--all", "--grace-period=1", "--timeout=60s"});
      driver_.kill();
      kubectl({"delete", "pvc,pv,csidrivers", "--all", "--timeout=60s"});
      kubectl({"delete", "csinode", kNode, "--ignore-not-found"});
    }
    MemberPodsTest::TearDown();
  }

  std::string root() const { return home() + "/root"; }
  std::string folder() const { return home() + "/driver"; }

  static void create(const std::string& yaml) {
    const auto created = kubectl({"create", "-f", "-"}, yaml);
    ASSERT_EQ(created.code, 0) << created.error << yaml;
  }
  /// A claim, and the volume that it is bound to; `source` is the volume's, in YAML's short form.
  static void create_claim(const std::string& name, const std::string& source, const std::string& more = "") {
    create(fmt::format(R"(apiVersion: v1
kind: PersistentVolume
metadata: {{name: {0}-volume}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  claimRef: {{namespace: default, name: {0}}}
  nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [{3}]}}]}}]}}}}
{2}  {1}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {0}}}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: ""
{2}  volumeName: {0}-volume
  resources: {{requests: {{storage: 1Gi}}}}
)",
                       name, source, more, kNode));
  }
  /// A pod that has the claim at /data, or as the device /dev/data.
  static void create_user(const std::string& pod, const std::string& claim, const std::string& command,
                          const std::string& spec = "") {
    MemberPodsTest::create_pod(
        pod, command, "    volumeMounts: [{name: data, mountPath: /data}]\n",
        fmt::format("  volumes: [{{name: data, persistentVolumeClaim: {{claimName: {}}}}}]\n{}", claim, spec));
  }
  void start_driver(const std::vector<std::string>& flags = {"--capability", "STAGE_UNSTAGE_VOLUME"}) {
    std::vector<std::string> command = {
        std::filesystem::path(::getenv("KEELSON_BIN")).parent_path() / "test/csi-driver",
        "--name",
        kDriver,
        "--folder",
        folder(),
        "--registry",
        root() + "/plugins_registry"};
    command.insert(command.end(), flags.begin(), flags.end());
    driver_ = Background(command, home() + "/driver.log");
    wait_until("the driver is registered", [this] { return calls().find("registered yes") != std::string::npos; });
  }
  void stop_driver() {
    driver_.stop();
    std::filesystem::remove(folder() + "/calls");
  }
  static void create_driver_object(const std::string& spec) {
    create(fmt::format("apiVersion: storage.k8s.io/v1\nkind: CSIDriver\nmetadata: {{name: {}}}\nspec: {}\n", kDriver,
                       spec));
  }
  std::string calls() const { return read_text(folder() + "/calls"); }
  size_t count(const std::string& call) const {
    const auto text = calls();
    size_t found = 0;
    for (size_t at = text.find(call); at != std::string::npos; at = text.find(call, at + 1)) {
      ++found;
    }
    return found;
  }
  static std::string csi_source(const std::string& handle, const std::string& more = "") {
    return fmt::format("csi: {{driver: {}, volumeHandle: {}{}}}", kDriver, handle, more);
  }
  /// A part of the claim's status, by JSON path.
  static std::string claim_status(const std::string& claim, const std::string& path) {
    return kubectl({"get", "pvc", claim, "-o", "jsonpath={.status." + path + "}"}).out;
  }
  void wait_bound(const std::string& claim) {
    wait_until("the claim is bound", [&] { return claim_status(claim, "phase") == "Bound"; });
  }
  static void enlarge_volume(const std::string& claim, const std::string& size) {
    const auto patched = kubectl({"patch", "pv", claim + "-volume", "--type=merge", "-p",
                                  fmt::format(R"({{"spec":{{"capacity":{{"storage":"{}"}}}}}})", size)});
    ASSERT_EQ(patched.code, 0) << patched.error;
  }
  /// What a controller does: the volume is larger, and it is the node's turn.
  static void enlarge(const std::string& claim, const std::string& size) {
    enlarge_volume(claim, size);
    const auto patched =
        kubectl({"patch", "pvc", claim, "--subresource=status", "--type=merge", "-p",
                 fmt::format(R"({{"status":{{"allocatedResources":{{"storage":"{}"}},"allocatedResourceStatuses":)"
                             R"({{"storage":"NodeResizePending"}},"conditions":[{{"type":"FileSystemResizePending",)"
                             R"("status":"True"}}]}}}})",
                             size)});
    ASSERT_EQ(patched.code, 0) << patched.error;
  }
  static std::string ask_node(const std::string& path) {
    return kubectl({"get", "--raw", fmt::format("/api/v1/nodes/{}/proxy{}", kNode, path)}).out;
  }
  void expect_gone(const std::string& pod) {
    wait_until(pod + " has gone", [&] { return kubectl({"get", "pod", pod}).code != 0; });
  }
  void remove_pod(const std::string& pod) {
    kubectl({"delete", "pod", pod, "--grace-period=1", "--wait=false"});
    expect_gone(pod);
  }
  /// A pod is Ready a moment before its process has written what it writes.
  void expect_file(const std::string& file, const std::string& begin) {
    wait_until(file + " is written",
               [&] { return std::filesystem::exists(file) && read_text(file).starts_with(begin); });
  }
  /// Neither a record nor a mount of any volume of the driver is left.
  void expect_nothing_left() {
    std::istringstream mounts(read_text("/proc/self/mountinfo"));
    for (std::string line; std::getline(mounts, line);) {
      const bool of_driver =
          line.find("kubernetes.io~csi") != std::string::npos || line.find("kubernetes.io/csi") != std::string::npos;
      EXPECT_FALSE(of_driver && line.find(root()) != std::string::npos) << line;
    }
    const auto devices = root() + "/plugins/kubernetes.io/csi/" + kDriver;
    EXPECT_TRUE(!std::filesystem::exists(devices) || std::filesystem::is_empty(devices));
  }

  Background driver_;
};

}  // namespace keelson::testing
