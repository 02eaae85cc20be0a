// SPDX-License-Identifier: Apache-2.0
// What the API has of storage as far as a node mounts it: PersistentVolumeClaim, PersistentVolume (core/v1), CSIDriver,
// VolumeAttachment and CSINode (storage.k8s.io/v1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "kube/meta.h"
#include "kube/objects.h"
#include "kube/quantity.h"
#include "kube/volume.h"

namespace keelson::kube {

enum class VolumeMode { filesystem, block };
enum class AccessMode { read_write_once, read_only_many, read_write_many, read_write_once_pod };

/// How a claim does, as far as a node reads it.
struct ClaimCondition {
  std::string type;    ///< "FileSystemResizePending", ...
  std::string status;  ///< "True", "False", "Unknown".
  bool operator==(const ClaimCondition&) const = default;
};

struct PersistentVolumeClaim {
  ObjectMeta metadata;
  std::string volume_name;  ///< Empty: not bound yet.
  VolumeMode volume_mode = VolumeMode::filesystem;
  std::vector<AccessMode> access_modes;
  ResourceList requests;         ///< spec.resources.requests: what its user wants now.
  std::string phase;             ///< "Pending", "Bound", "Lost".
  ResourceList capacity;         ///< What it has, as far as it is usable.
  ResourceList allocated;        ///< What it is being grown to (KEP-1790).
  StringMap allocated_statuses;  ///< How that goes, by resource: "NodeResizePending"; no entry: it does not.
  std::vector<ClaimCondition> conditions;
  bool operator==(const PersistentVolumeClaim&) const = default;
};

struct SecretReference {
  std::string name;
  std::string ns;
  bool operator==(const SecretReference&) const = default;
};

/// A directory or a block device of one node.
struct LocalVolume {
  std::string path;
  std::string fs_type;  ///< Of a device that is mounted; empty: what is on it.
  bool operator==(const LocalVolume&) const = default;
};

struct CsiPersistentVolume {
  std::string driver;
  std::string volume_handle;  ///< The driver's name for it.
  bool read_only = false;
  std::string fs_type;
  StringMap volume_attributes;
  std::optional<SecretReference> node_stage_secret;
  std::optional<SecretReference> node_publish_secret;
  std::optional<SecretReference> node_expand_secret;
  bool operator==(const CsiPersistentVolume&) const = default;
};

/// Whose a volume is.
struct ClaimReference {
  std::string ns;
  std::string name;
  std::string uid;
  bool operator==(const ClaimReference&) const = default;
};

/// Exactly one source is set; `unsupported` names one that this node has not.
struct PersistentVolume {
  ObjectMeta metadata;
  ResourceList capacity;
  std::vector<AccessMode> access_modes;
  std::vector<std::string> mount_options;
  VolumeMode volume_mode = VolumeMode::filesystem;
  std::optional<ClaimReference> claim;
  std::optional<HostPathVolume> host_path;
  std::optional<LocalVolume> local;
  std::optional<NfsVolume> nfs;
  std::optional<CsiPersistentVolume> csi;
  std::string unsupported;
  bool operator==(const PersistentVolume&) const = default;
};

/// When files are given to the pod's fsGroup (KEP-1682).
enum class FsGroupPolicy { read_write_once_with_fs_type, file, none };

struct CsiTokenRequest {
  std::string audience;  ///< Empty: the API server's own.
  std::optional<int64_t> expiration_seconds;
  bool operator==(const CsiTokenRequest&) const = default;
};

/// What a driver wants of a node. Its name is the driver's.
struct CsiDriver {
  ObjectMeta metadata;
  bool attach_required = true;
  bool pod_info_on_mount = false;
  FsGroupPolicy fs_group_policy = FsGroupPolicy::read_write_once_with_fs_type;
  std::vector<std::string> volume_lifecycle_modes;  ///< "Persistent", "Ephemeral"; empty: Persistent.
  std::vector<CsiTokenRequest> token_requests;
  bool requires_republish = false;  ///< Published volumes are published again now and then, with what is new.
  bool operator==(const CsiDriver&) const = default;
};

/// Somebody else attaches the volume to the node, and says here that it is done.
struct VolumeAttachment {
  ObjectMeta metadata;
  bool attached = false;
  StringMap attachment_metadata;  ///< For the driver's node part: its publish context.
  std::string attach_error;
  bool operator==(const VolumeAttachment&) const = default;
};

/// A driver that has registered with a node.
struct CsiNodeDriver {
  std::string name;
  std::string node_id;  ///< The driver's name for the node.
  std::vector<std::string> topology_keys;
  std::optional<int32_t> allocatable_count;  ///< So many volumes at the most.
  bool operator==(const CsiNodeDriver&) const = default;
};

struct CsiNode {
  ObjectMeta metadata;
  std::vector<CsiNodeDriver> drivers;
  bool operator==(const CsiNode&) const = default;
};

/// From an API server's JSON; unknown fields are ignored. Kind::invalid names field and reason.
Result<PersistentVolumeClaim> decode_persistent_volume_claim(std::string_view text);
Result<PersistentVolume> decode_persistent_volume(std::string_view text);
Result<CsiDriver> decode_csi_driver(std::string_view text);
Result<VolumeAttachment> decode_volume_attachment(std::string_view text);
Result<CsiNode> decode_csi_node(std::string_view text);
/// Errors hold nothing of what is in it.
Result<Secret> decode_secret(std::string_view text);
/// With apiVersion and kind.
std::string encode_json(const CsiNode& node);

}  // namespace keelson::kube
