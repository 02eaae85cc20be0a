// SPDX-License-Identifier: Apache-2.0
// API names of PersistentVolumeClaim, PersistentVolume, CSIDriver, VolumeAttachment and CSINode (see reader.h).
#pragma once

#include "kube/fields_objects.h"
#include "kube/fields_pod.h"
#include "kube/persistent_volume.h"

namespace keelson::kube {

constexpr Names<VolumeMode, 2> names_of(VolumeMode) {
  return {{{VolumeMode::filesystem, "Filesystem"}, {VolumeMode::block, "Block"}}};
}
constexpr Names<AccessMode, 4> names_of(AccessMode) {
  return {{{AccessMode::read_write_once, "ReadWriteOnce"},
           {AccessMode::read_only_many, "ReadOnlyMany"},
           {AccessMode::read_write_many, "ReadWriteMany"},
           {AccessMode::read_write_once_pod, "ReadWriteOncePod"}}};
}
constexpr Names<FsGroupPolicy, 3> names_of(FsGroupPolicy) {
  return {{{FsGroupPolicy::read_write_once_with_fs_type, "ReadWriteOnceWithFSType"},
           {FsGroupPolicy::file, "File"},
           {FsGroupPolicy::none, "None"}}};
}

void fields(auto& v, Of<ClaimCondition> auto& c) {
  v("type", c.type);
  v("status", c.status);
}

void fields(auto& v, Of<PersistentVolumeClaim> auto& c) {
  v("metadata", c.metadata);
  v.object("spec", [&](auto& spec) {
    spec("volumeName", c.volume_name);
    spec("volumeMode", c.volume_mode);
    spec("accessModes", c.access_modes);
    spec.object("resources", [&](auto& resources) { resources("requests", c.requests); });
  });
  v.object("status", [&](auto& status) {
    status("phase", c.phase);
    status("capacity", c.capacity);
    status("allocatedResources", c.allocated);
    status("allocatedResourceStatuses", c.allocated_statuses);
    status("conditions", c.conditions);
  });
}

void fields(auto& v, Of<SecretReference> auto& s) {
  v("name", s.name);
  v("namespace", s.ns);
}

void fields(auto& v, Of<LocalVolume> auto& l) {
  v("path", l.path);
  v("fsType", l.fs_type);
}

void fields(auto& v, Of<CsiPersistentVolume> auto& c) {
  v("driver", c.driver);
  v("volumeHandle", c.volume_handle);
  v("readOnly", c.read_only);
  v("fsType", c.fs_type);
  v("volumeAttributes", c.volume_attributes);
  v("nodeStageSecretRef", c.node_stage_secret);
  v("nodePublishSecretRef", c.node_publish_secret);
  v("nodeExpandSecretRef", c.node_expand_secret);
}

void fields(auto& v, Of<ClaimReference> auto& c) {
  v("namespace", c.ns);
  v("name", c.name);
  v("uid", c.uid);
}

void fields(auto& v, Of<PersistentVolume> auto& p) {
  v("metadata", p.metadata);
  v.object("spec", [&](auto& spec) {
    spec("capacity", p.capacity);
    spec("accessModes", p.access_modes);
    spec("mountOptions", p.mount_options);
    spec("volumeMode", p.volume_mode);
    spec("claimRef", p.claim);
    spec("hostPath", p.host_path);
    spec("local", p.local);
    spec("nfs", p.nfs);
    spec("csi", p.csi);
    spec.unsupported({"awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "fc", "flexVolume",
                      "flocker", "gcePersistentDisk", "glusterfs", "iscsi", "photonPersistentDisk", "portworxVolume",
                      "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume"},
                     p.unsupported);
  });
}

void fields(auto& v, Of<CsiTokenRequest> auto& t) {
  v("audience", t.audience);
  v("expirationSeconds", t.expiration_seconds);
}

void fields(auto& v, Of<CsiDriver> auto& d) {
  v("metadata", d.metadata);
  v.object("spec", [&](auto& spec) {
    spec("attachRequired", d.attach_required);
    spec("podInfoOnMount", d.pod_info_on_mount);
    spec("fsGroupPolicy", d.fs_group_policy);
    spec("volumeLifecycleModes", d.volume_lifecycle_modes);
    spec("tokenRequests", d.token_requests);
    spec("requiresRepublish", d.requires_republish);
  });
}

void fields(auto& v, Of<VolumeAttachment> auto& a) {
  v("metadata", a.metadata);
  v.object("status", [&](auto& status) {
    status("attached", a.attached);
    status("attachmentMetadata", a.attachment_metadata);
    status.object("attachError", [&](auto& error) { error("message", a.attach_error); });
  });
}

void fields(auto& v, Of<CsiNodeDriver> auto& d) {
  v.always("name", d.name);
  v.always("nodeID", d.node_id);
  v("topologyKeys", d.topology_keys);
  v.object("allocatable", [&](auto& allocatable) { allocatable("count", d.allocatable_count); });
}

void fields(auto& v, Of<CsiNode> auto& n) {
  v("metadata", n.metadata);
  v.object("spec", [&](auto& spec) { spec.always("drivers", n.drivers); });
}

}  // namespace keelson::kube
