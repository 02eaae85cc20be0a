// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "kube/persistent_volume.h"

namespace keelson::kube {

namespace {

TEST(StorageCodecTest, AVolumeOfADriverSaysAllThatANodeMustTellTheDriver) {
  auto volume = decode_persistent_volume(R"({"kind":"PersistentVolume","apiVersion":"v1","metadata":{"name":"pv-1"},
    "spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce","ReadOnlyMany"],"mountOptions":["noatime"],
      "volumeMode":"Block","claimRef":{"kind":"PersistentVolumeClaim","namespace":"shop","name":"data","uid":"c-1"},
      "csi":{"driver":"disk.example.com","volumeHandle":"vol-7","readOnly":true,"fsType":"ext4",
        "volumeAttributes":{"tier":"fast"},"nodeStageSecretRef":{"name":"key","namespace":"kube-system"},
        "nodeExpandSecretRef":{"name":"grow","namespace":"kube-system"}}},
    "status":{"phase":"Bound"}})");
  ASSERT_TRUE(volume) << volume.error().message();
  EXPECT_EQ(volume->metadata.name, "pv-1");
  EXPECT_EQ(volume->access_modes, (std::vector{AccessMode::read_write_once, AccessMode::read_only_many}));
  EXPECT_EQ(volume->mount_options, std::vector<std::string>{"noatime"});
  EXPECT_EQ(volume->volume_mode, VolumeMode::block);
  EXPECT_EQ(volume->claim, (ClaimReference{"shop", "data", "c-1"}));
  ASSERT_TRUE(volume->csi);
  EXPECT_EQ(volume->csi->driver, "disk.example.com");
  EXPECT_EQ(volume->csi->volume_handle, "vol-7");
  EXPECT_TRUE(volume->csi->read_only);
  EXPECT_EQ(volume->csi->fs_type, "ext4");
  EXPECT_EQ(volume->csi->volume_attributes, (StringMap{{"tier", "fast"}}));
  EXPECT_EQ(volume->csi->node_stage_secret, (SecretReference{"key", "kube-system"}));
  EXPECT_FALSE(volume->csi->node_publish_secret);
  EXPECT_EQ(volume->csi->node_expand_secret, (SecretReference{"grow", "kube-system"}));
  EXPECT_EQ(volume->capacity, (ResourceList{{"storage", Quantity::of(1 << 30)}}));
}

TEST(StorageCodecTest, ASourceThatThisNodeHasNotIsNamed) {
  auto volume = decode_persistent_volume(
      R"({"kind":"PersistentVolume","metadata":{"name":"p"},"spec":{"iscsi":{"targetPortal":"1.2.3.4"}}})");
  ASSERT_TRUE(volume) << volume.error().message();
  EXPECT_EQ(volume->unsupported, "iscsi");
}

TEST(StorageCodecTest, AClaimIsOfFilesUnlessItSaysOtherwise) {
  auto claim = decode_persistent_volume_claim(
      R"({"kind":"PersistentVolumeClaim","metadata":{"name":"data","namespace":"shop","uid":"c-1"},
          "spec":{"volumeName":"pv-1"},"status":{"phase":"Bound"}})");
  ASSERT_TRUE(claim) << claim.error().message();
  EXPECT_EQ(claim->volume_name, "pv-1");
  EXPECT_EQ(claim->volume_mode, VolumeMode::filesystem);
  EXPECT_EQ(claim->phase, "Bound");
}

TEST(StorageCodecTest, AClaimThatGrowsTellsHowFarItIs) {
  auto claim = decode_persistent_volume_claim(
      R"({"kind":"PersistentVolumeClaim","metadata":{"name":"data","namespace":"shop","uid":"c-1"},
          "spec":{"volumeName":"pv-1","accessModes":["ReadWriteMany"],"resources":{"requests":{"storage":"3Gi"}}},
          "status":{"phase":"Bound","capacity":{"storage":"1Gi"},"allocatedResources":{"storage":"2Gi"},
            "allocatedResourceStatuses":{"storage":"NodeResizePending"},
            "conditions":[{"type":"FileSystemResizePending","status":"True","lastTransitionTime":null}]}})");
  ASSERT_TRUE(claim) << claim.error().message();
  const auto gibibytes = [](int64_t count) { return ResourceList{{"storage", Quantity::of(count << 30)}}; };
  EXPECT_EQ(claim->access_modes, std::vector{AccessMode::read_write_many});
  EXPECT_EQ(claim->requests, gibibytes(3));
  EXPECT_EQ(claim->capacity, gibibytes(1));
  EXPECT_EQ(claim->allocated, gibibytes(2));
  EXPECT_EQ(claim->allocated_statuses, (StringMap{{"storage", "NodeResizePending"}}));
  EXPECT_EQ(claim->conditions, (std::vector<ClaimCondition>{{"FileSystemResizePending", "True"}}));
}

TEST(StorageCodecTest, ADriverThatSaysNothingWantsAttachmentAndTheGroupByFileSystem) {
  auto driver = decode_csi_driver(R"({"kind":"CSIDriver","metadata":{"name":"d"},"spec":{}})");
  ASSERT_TRUE(driver) << driver.error().message();
  EXPECT_TRUE(driver->attach_required);
  EXPECT_FALSE(driver->pod_info_on_mount);
  EXPECT_EQ(driver->fs_group_policy, FsGroupPolicy::read_write_once_with_fs_type);
  driver = decode_csi_driver(R"({"kind":"CSIDriver","metadata":{"name":"d"},"spec":{"attachRequired":false,
    "podInfoOnMount":true,"fsGroupPolicy":"File","volumeLifecycleModes":["Persistent","Ephemeral"],
    "tokenRequests":[{"audience":"vault","expirationSeconds":600}]}})");
  ASSERT_TRUE(driver) << driver.error().message();
  EXPECT_FALSE(driver->attach_required);
  EXPECT_TRUE(driver->pod_info_on_mount);
  EXPECT_EQ(driver->fs_group_policy, FsGroupPolicy::file);
  EXPECT_EQ(driver->token_requests, (std::vector<CsiTokenRequest>{{"vault", 600}}));
}

TEST(StorageCodecTest, AnAttachmentSaysWhetherItIsDoneOrWhyNot) {
  auto attachment = decode_volume_attachment(R"({"kind":"VolumeAttachment","metadata":{"name":"csi-1"},
    "status":{"attached":true,"attachmentMetadata":{"devicePath":"/dev/sdb"}}})");
  ASSERT_TRUE(attachment) << attachment.error().message();
  EXPECT_TRUE(attachment->attached);
  EXPECT_EQ(attachment->attachment_metadata, (StringMap{{"devicePath", "/dev/sdb"}}));
  attachment = decode_volume_attachment(R"({"kind":"VolumeAttachment","metadata":{"name":"csi-1"},
    "status":{"attached":false,"attachError":{"message":"no such disk"}}})");
  ASSERT_TRUE(attachment) << attachment.error().message();
  EXPECT_FALSE(attachment->attached);
  EXPECT_EQ(attachment->attach_error, "no such disk");
}

TEST(StorageCodecTest, ACsiNodeIsWrittenAsItIsRead) {
  CsiNode node;
  node.metadata.name = "node-1";
  node.drivers = {{.name = "d", .node_id = "n-17", .topology_keys = {"zone"}, .allocatable_count = 16}, {.name = "e"}};
  auto read = decode_csi_node(encode_json(node));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(*read, node);
}

TEST(StorageCodecTest, AWrongTypeIsNamedByItsField) {
  auto volume = decode_persistent_volume(R"({"kind":"PersistentVolume","spec":{"csi":{"volumeHandle":7}}})");
  ASSERT_FALSE(volume);
  EXPECT_NE(volume.error().message().find("spec.csi.volumeHandle"), std::string::npos) << volume.error().message();
}

}  // namespace

}  // namespace keelson::kube
