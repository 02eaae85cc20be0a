// SPDX-License-Identifier: Apache-2.0
// Volumes of claims and of CSI drivers: bound, attached, staged, published, and all of it undone.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "tests/support/storage_fixture.h"

namespace keelson::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

TEST_F(StorageTest, AClaimOfALocalFolderOutlivesItsPods) {
  const auto place = home() + "/disk";
  fs::create_directories(place);
  create_claim("data", fmt::format("local: {{path: {}}}", place));
  create_user("writer", "data", fmt::format("echo kept > /data/file; {}", kRuns),
              "  securityContext: {fsGroup: 4321}\n");
  expect_ready("writer");
  expect_file(place + "/file", "kept\n");
  EXPECT_EQ(run({"stat", "-c", "%g", place}).out, "4321\n");
  remove_pod("writer");
  EXPECT_THAT(read_text("/proc/self/mountinfo"), Not(HasSubstr("local-volume")));
  create_user("reader", "data", fmt::format("grep -q kept /data/file && {}", kRuns));
  expect_ready("reader");
}

TEST_F(StorageTest, AClaimThatIsNotBoundIsWaitedFor) {
  create(R"(apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: late}
spec: {accessModes: [ReadWriteOnce], storageClassName: "", volumeName: late-volume, resources: {requests: {storage: 1Gi}}}
)");
  create_user("patient", "late", kRuns);
  ASSERT_TRUE(has_event("patient", "PVC is not bound"));
  EXPECT_TRUE(has_event("patient", "Warning FailedMount Unable to attach or mount volumes: unmounted volumes=[data]"));
  EXPECT_EQ(field("patient", "phase"), "Pending");
  create(fmt::format(R"(apiVersion: v1
kind: PersistentVolume
metadata: {{name: late-volume}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  hostPath: {{path: {}/made, type: DirectoryOrCreate}}
)",
                     home()));
  expect_ready("patient");
  EXPECT_TRUE(fs::is_directory(home() + "/made"));
}

TEST_F(StorageTest, AnEphemeralVolumeHasAClaimOfItsPod) {
  fs::create_directories(home() + "/disk");
  create(fmt::format(R"(apiVersion: v1
kind: PersistentVolume
metadata: {{name: scratch-volume}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  claimRef: {{namespace: default, name: worker-scratch}}
  hostPath: {{path: {}/disk}}
)",
                     home()));
  MemberPodsTest::create_pod("worker", fmt::format("touch /data/here; {}", kRuns),
                             "    volumeMounts: [{name: scratch, mountPath: /data}]\n",
                             "  volumes: [{name: scratch, ephemeral: {volumeClaimTemplate: {spec: {accessModes: "
                             "[ReadWriteOnce], storageClassName: \"\", resources: {requests: {storage: 1Gi}}}}}}]\n");
  expect_ready("worker");
  expect_file(home() + "/disk/here", "");
}

TEST_F(StorageTest, ADriverThatRegistersIsToldToTheCluster) {
  start_driver();
  const auto driver = [](const std::string& path) {
    return kubectl({"get", "csinode", kNode, "-o", "jsonpath={.spec.drivers[0]." + path + "}"}).out;
  };
  EXPECT_EQ(driver("name"), kDriver);
  EXPECT_EQ(driver("nodeID"), "node-of-the-driver");
  EXPECT_EQ(driver("allocatable.count"), "7");
  EXPECT_EQ(driver("topologyKeys[0]"), fmt::format("topology.{}/rack", kDriver));
  EXPECT_EQ(node("{.metadata.labels.topology\\.disk\\.example\\.com/rack}"), "r1");
  EXPECT_EQ(kubectl({"get", "csinode", kNode, "-o", "jsonpath={.metadata.ownerReferences[0].uid}"}).out,
            node("{.metadata.uid}"));
  stop_driver();
  wait_until("it is left out", [&] { return driver("name").empty(); });
  start_driver();
  EXPECT_EQ(driver("name"), kDriver);
}

TEST_F(StorageTest, AVolumeIsStagedOncePublishedForEachPodAndGivenBack) {
  create_driver_object("{attachRequired: false, podInfoOnMount: true}");
  start_driver();
  create_claim("data", csi_source("vol-1", ", fsType: ext4, volumeAttributes: {tier: fast}"));
  create_user("first", "data", fmt::format("echo one > /data/file; {}", kRuns), "  securityContext: {fsGroup: 77}\n");
  expect_ready("first");
  expect_file(folder() + "/volumes/vol-1/file", "one\n");
  create_user("second", "data", fmt::format("grep -q one /data/file && {}", kRuns));
  expect_ready("second");
  EXPECT_EQ(count("NodeStageVolume vol-1"), 1) << calls();
  EXPECT_THAT(calls(), HasSubstr("NodePublishVolume vol-1 mode=SINGLE_NODE_WRITER csi.storage.k8s.io/ephemeral=false "
                                 "csi.storage.k8s.io/pod.name=first csi.storage.k8s.io/pod.namespace=default"));
  EXPECT_THAT(calls(), HasSubstr(" tier=fast"));
  EXPECT_EQ(run({"stat", "-c", "%g", folder() + "/volumes/vol-1"}).out, "77\n") << "one writer, and a file system";
  remove_pod("first");
  EXPECT_EQ(count("NodeUnpublishVolume vol-1"), 1);
  EXPECT_EQ(count("NodeUnstageVolume"), 0) << "the second has it";
  remove_pod("second");
  EXPECT_EQ(count("NodeUnstageVolume vol-1"), 1) << calls();
  expect_nothing_left();
  EXPECT_EQ(read_text(folder() + "/volumes/vol-1/file"), "one\n");
}

TEST_F(StorageTest, AVolumeThatMustBeAttachedIsWaitedForAndHeld) {
  create_driver_object("{attachRequired: true}");
  start_driver();
  create_claim("data", csi_source("vol-2"));
  create_user("waiting", "data", kRuns);
  const auto in_use = [] { return node("{.status.volumesInUse}"); };
  wait_until("it is said to be in use", [&] { return in_use().find("disk.example.com^vol-2") != std::string::npos; });
  std::string attachment;
  wait_until("the controller wants it attached", [&] {
    attachment = kubectl({"get", "volumeattachments", "-o", "jsonpath={.items[0].metadata.name}"}).out;
    return !attachment.empty();
  });
  EXPECT_EQ(count("NodeStageVolume"), 0);
  const auto patched = kubectl({"patch", "volumeattachment", attachment, "--subresource=status", "--type=merge", "-p",
                                R"({"status":{"attached":true,"attachmentMetadata":{"device":"sdz"}}})"});
  ASSERT_EQ(patched.code, 0) << patched.error;
  expect_ready("waiting");
  EXPECT_THAT(calls(), HasSubstr("NodeStageVolume vol-2 device=sdz"));
  kill_node();
  join({"--client-ca-file", control_plane_->authority_file()});
  wait_node_ready();
  EXPECT_THAT(in_use(), HasSubstr("disk.example.com^vol-2")) << "by what is on disk";
  remove_pod("waiting");
  wait_until("it may be detached", [&] { return in_use().find("vol-2") == std::string::npos; });
  expect_nothing_left();
}

TEST_F(StorageTest, ADriverMakesAVolumeForAPodAlone) {
  create_driver_object("{attachRequired: false, podInfoOnMount: true, volumeLifecycleModes: [Ephemeral]}");
  start_driver();
  create("apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {word: open-sesame}\n");
  MemberPodsTest::create_pod(
      "inline", kRuns, "    volumeMounts: [{name: scratch, mountPath: /data}]\n",
      fmt::format("  volumes: [{{name: scratch, csi: {{driver: {}, readOnly: true, volumeAttributes: {{size: big}}, "
                  "nodePublishSecretRef: {{name: key}}}}}}]\n",
                  kDriver));
  expect_ready("inline");
  EXPECT_THAT(calls(), HasSubstr("mode=SINGLE_NODE_WRITER readonly csi.storage.k8s.io/ephemeral=true"));
  EXPECT_THAT(calls(), HasSubstr(" size=big word=open-sesame"));
  EXPECT_EQ(count("NodeStageVolume"), 0);
  EXPECT_THAT(whole_log(), Not(HasSubstr("open-sesame")));
  remove_pod("inline");
  expect_nothing_left();
  kubectl({"delete", "secret", "key"});
}

TEST_F(StorageTest, WhatADriverRefusesIsToldAndTriedAgain) {
  create_driver_object("{attachRequired: false}");
  start_driver();
  std::ofstream(folder() + "/refuse-NodeStageVolume") << "the disk is on fire";
  create_claim("data", csi_source("vol-3"));
  create_user("unlucky", "data", kRuns);
  EXPECT_TRUE(has_event("unlucky",
                        "Warning FailedMount MountVolume.MountDevice failed for volume \"data-volume\" : the disk is "
                        "on fire"));
  fs::remove(folder() + "/refuse-NodeStageVolume");
  expect_ready("unlucky");
  const auto told = kubectl({"get", "--raw", fmt::format("/api/v1/nodes/{}/proxy/metrics", kNode)}).out;
  for (const char* row : {"storage_operation_duration_seconds_count{migrated=\"false\",operation_name=\"volume_mount\","
                          "status=\"fail-unknown\",volume_plugin=\"kubernetes.io/csi:disk.example.com\"} ",
                          "storage_operation_duration_seconds_count{migrated=\"false\",operation_name=\"volume_mount\","
                          "status=\"success\",volume_plugin=\"kubernetes.io/csi:disk.example.com\"} 1\n",
                          "volume_manager_total_volumes{plugin_name=\"kubernetes.io/csi:disk.example.com\",state="
                          "\"actual_state_of_world\"} 1\n"}) {
    EXPECT_THAT(told, HasSubstr(row));
  }
}

TEST_F(StorageTest, AVolumeThatIsNotUnstagedIsTriedAgain) {
  create_driver_object("{attachRequired: false}");
  start_driver();
  create_claim("data", csi_source("vol-5"));
  create_user("leaver", "data", kRuns);
  expect_ready("leaver");
  std::ofstream(folder() + "/refuse-NodeUnstageVolume") << "busy";
  kubectl({"delete", "pod", "leaver", "--grace-period=1", "--wait=false"});
  wait_until("it is tried", [this] { return count("NodeUnstageVolume vol-5") >= 1; });
  fs::remove(folder() + "/refuse-NodeUnstageVolume");
  expect_gone("leaver");
  EXPECT_GE(count("NodeUnstageVolume vol-5"), 2) << calls();
  expect_nothing_left();
}

TEST_F(StorageTest, APodStaysUntilItsDriverHasTakenTheVolumeBack) {
  create_driver_object("{attachRequired: false}");
  start_driver();
  create_claim("data", csi_source("vol-4"));
  create_user("holder", "data", kRuns);
  expect_ready("holder");
  kill_node();  // what was published is on disk
  stop_driver();
  join({"--client-ca-file", control_plane_->authority_file()});
  wait_node_ready();
  kubectl({"delete", "pod", "holder", "--grace-period=1", "--wait=false"});
  wait_until("its container has ended", [this] { return process_of("holder", "main").empty(); });
  wait_until("the driver is missed", [this] {
    return whole_log().find("driver name disk.example.com not found in the list of registered CSI drivers") !=
           std::string::npos;
  });
  EXPECT_THAT(read_text("/proc/self/mountinfo"), HasSubstr("kubernetes.io~csi/data-volume"));
  start_driver();
  expect_gone("holder");
  EXPECT_EQ(count("NodeUnpublishVolume vol-4"), 1) << calls();
  EXPECT_EQ(count("NodeUnstageVolume vol-4"), 1) << calls();
  expect_nothing_left();
}

TEST_F(StorageTest, ABlockVolumeIsADevice) {
  const auto image = home() + "/image";
  std::ofstream(image).close();
  fs::resize_file(image, 1 << 20);
  auto loop = run({"losetup", "--show", "-f", image});
  if (loop.code != 0) {
    GTEST_SKIP() << "SKIP: needs a loop device: " << loop.error;
  }
  loop.out.pop_back();
  create_claim("raw", fmt::format("local: {{path: {}}}", loop.out), "  volumeMode: Block\n");
  MemberPodsTest::create_pod("writer", fmt::format("printf raw > /dev/data; sync; {}", kRuns),
                             "    volumeDevices: [{name: data, devicePath: /dev/data}]\n",
                             "  volumes: [{name: data, persistentVolumeClaim: {claimName: raw}}]\n");
  expect_ready("writer");
  expect_file(image, "raw");
  create_user("misled", "raw", kRuns);
  EXPECT_TRUE(has_event("misled", "volumeMode Block"));
  remove_pod("writer");
  remove_pod("misled");
  run({"losetup", "-d", loop.out});
}

}  // namespace
}  // namespace keelson::testing
