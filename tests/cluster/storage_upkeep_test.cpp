// SPDX-License-Identifier: Apache-2.0
// Volumes that pods have: they grow, and their drivers tell how full they are.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/support/storage_fixture.h"

namespace keelson::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

TEST_F(StorageTest, AVolumeGrowsBeforeAPodHasItAndWhileItRuns) {
  create_driver_object("{attachRequired: false}");
  start_driver({"--capability", "STAGE_UNSTAGE_VOLUME", "--capability", "EXPAND_VOLUME"});
  create("apiVersion: v1\nkind: Secret\nmetadata: {name: grow}\nstringData: {word: swordfish}\n");
  create_claim("data", csi_source("vol-6", ", nodeExpandSecretRef: {name: grow, namespace: default}"));
  wait_bound("data");
  EXPECT_EQ(claim_status("data", "capacity.storage"), "1Gi");
  enlarge("data", "2Gi");
  create_user("grower", "data", kRuns);
  expect_ready("grower");
  EXPECT_EQ(count("NodeExpandVolume vol-6 bytes=2147483648 published staged word=swordfish"), 1) << calls();
  EXPECT_EQ(claim_status("data", "capacity.storage"), "2Gi");
  EXPECT_EQ(claim_status("data", "allocatedResourceStatuses.storage"), "");
  EXPECT_EQ(claim_status("data", "conditions"), "");
  const auto told = fmt::format(
      "Normal FileSystemResizeSuccessful MountVolume.NodeExpandVolume succeeded for volume \"data-volume\" {}", kNode);
  EXPECT_TRUE(has_event("grower", told));
  EXPECT_TRUE(has_event("data", told));
  enlarge("data", "3Gi");
  wait_until(
      "it has grown under its pod", [] { return claim_status("data", "capacity.storage") == "3Gi"; },
      std::chrono::seconds(100));
  EXPECT_EQ(count("NodeExpandVolume vol-6 bytes=3221225472 published staged"), 1) << calls();
  EXPECT_THAT(whole_log(), Not(HasSubstr("swordfish")));
  remove_pod("grower");
  kubectl({"delete", "secret", "grow"});
  expect_nothing_left();
}

TEST_F(StorageTest, AVolumeThatCannotGrowIsTheControllersAgain) {
  create_driver_object("{attachRequired: false}");
  start_driver({"--capability", "EXPAND_VOLUME"});
  std::ofstream(folder() + "/refuse-NodeExpandVolume") << "the disk is too old";
  create_claim("data", csi_source("vol-7"));
  wait_bound("data");
  enlarge("data", "2Gi");
  create_user("patient", "data", kRuns);
  EXPECT_TRUE(has_event("patient",
                        "Warning FailedMount MountVolume.Setup failed while expanding volume for volume "
                        "\"data-volume\" : Expander.NodeExpand failed to expand the volume : the disk is too old"));
  // Its user asks for 1Gi, and so it is not tried for ever.
  wait_until("it is given up",
             [] { return claim_status("data", "allocatedResourceStatuses.storage") == "NodeResizeInfeasible"; });
  EXPECT_THAT(claim_status("data", "conditions[?(@.type==\"NodeResizeError\")].message"),
              HasSubstr("failed to expand pvc with Expander.NodeExpand failed"));
  expect_ready("patient");
  EXPECT_EQ(claim_status("data", "capacity.storage"), "1Gi");
}

TEST_F(StorageTest, AFolderHasNothingToGrowAndItsClaimHasTheNewSize) {
  const auto place = home() + "/disk";
  fs::create_directories(place);
  create_claim("data", fmt::format("local: {{path: {}}}", place));
  wait_bound("data");
  enlarge_volume("data", "2Gi");
  create_user("grower", "data", kRuns);
  expect_ready("grower");
  wait_until("the claim is told", [] { return claim_status("data", "capacity.storage") == "2Gi"; });
}

TEST_F(StorageTest, ADriverTellsHowFullItsVolumesAreAndNobodyWaitsForIt) {
  kill_node();
  join({"--client-ca-file", control_plane_->authority_file(), "--feature-gates", "CSIVolumeHealth=true"});
  wait_node_ready();
  create_driver_object("{attachRequired: false}");
  start_driver({"--capability", "GET_VOLUME_STATS", "--capability", "VOLUME_CONDITION"});
  std::ofstream(folder() + "/abnormal") << "the disk smells";
  create_claim("data", csi_source("vol-8"));
  create_user("user", "data", kRuns);
  expect_ready("user");
  const std::string labels = "{namespace=\"default\",persistentvolumeclaim=\"data\"} ";
  wait_until("its use is told", [&] {
    return ask_node("/metrics").find("kubelet_volume_stats_used_bytes" + labels + "400\n") != std::string::npos;
  });
  const auto metrics = ask_node("/metrics");
  EXPECT_THAT(metrics, HasSubstr("kubelet_volume_stats_capacity_bytes" + labels + "1000\n"));
  EXPECT_THAT(metrics, HasSubstr("kubelet_volume_stats_inodes_free" + labels + "6\n"));
  EXPECT_THAT(metrics, HasSubstr("kubelet_volume_stats_health_status_abnormal" + labels + "1\n"));
  EXPECT_THAT(ask_node("/stats/summary"), HasSubstr("\"volumeHealthStats\":{\"abnormal\":true}"));
  EXPECT_TRUE(has_event("user", "Warning VolumeConditionAbnormal Volume data: the disk smells"));

  std::ofstream(folder() + "/hang-NodeGetVolumeStats").close();
  create_claim("more", csi_source("vol-9"));
  create_user("other", "more", kRuns);
  expect_ready("other");
  wait_until("the driver is asked", [this] { return count("NodeGetVolumeStats vol-9") == 1; });
  EXPECT_THAT(ask_node("/metrics"), HasSubstr("kubelet_volume_stats_used_bytes" + labels + "400\n"));
  EXPECT_THAT(ask_node("/stats/summary"), HasSubstr("\"usedBytes\":400"));
  fs::remove(folder() + "/hang-NodeGetVolumeStats");
}

}  // namespace
}  // namespace keelson::testing
