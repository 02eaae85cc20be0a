// SPDX-License-Identifier: Apache-2.0
// The volumes of a pod.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/container.h"

namespace keelson::kube {

/// What must be at a hostPath before the pod starts. `unset` ("") checks nothing.
enum class HostPathType {
  unset,
  directory_or_create,
  directory,
  file_or_create,
  file,
  socket,
  char_device,
  block_device
};
std::string_view to_string(HostPathType type);

/// A directory that lives as long as the pod.
struct EmptyDirVolume {
  std::string medium;  ///< "", "Memory" (tmpfs), "HugePages" or "HugePages-<size>".
  std::optional<Quantity> size_limit;
  bool operator==(const EmptyDirVolume&) const = default;
};

struct HostPathVolume {
  std::string path;  ///< Absolute, without "..".
  HostPathType type = HostPathType::unset;
  bool operator==(const HostPathVolume&) const = default;
};

/// One key of a ConfigMap or Secret, and the relative path it is written to.
struct KeyToPath {
  std::string key;
  std::string path;
  std::optional<int32_t> mode;  ///< 0..0777; unset: the volume's default_mode.
  bool operator==(const KeyToPath&) const = default;
};

/// Both configMap and secret volumes; `name` is the API's `name` or `secretName`.
struct KeyedVolume {
  std::string name;
  std::vector<KeyToPath> items;  ///< Empty: all keys under their own names.
  int32_t default_mode = 0644;
  std::optional<bool> optional;
  bool operator==(const KeyedVolume&) const = default;
};

struct DownwardApiFile {
  std::string path;
  std::optional<FieldRef> field_ref;  ///< Exactly one of the two.
  std::optional<ResourceFieldRef> resource_field_ref;
  std::optional<int32_t> mode;
  bool operator==(const DownwardApiFile&) const = default;
};

struct DownwardApiVolume {
  std::vector<DownwardApiFile> items;
  int32_t default_mode = 0644;
  bool operator==(const DownwardApiVolume&) const = default;
};

/// ConfigMap or Secret inside a projected volume.
struct KeyedProjection {
  std::string name;
  std::vector<KeyToPath> items;
  std::optional<bool> optional;
  bool operator==(const KeyedProjection&) const = default;
};

struct DownwardApiProjection {
  std::vector<DownwardApiFile> items;
  bool operator==(const DownwardApiProjection&) const = default;
};

/// A token for the pod's service account, made and renewed by the node.
struct ServiceAccountTokenProjection {
  std::string audience;               ///< Empty: the API server's own.
  int64_t expiration_seconds = 3600;  ///< At least 600.
  std::string path;
  bool operator==(const ServiceAccountTokenProjection&) const = default;
};

/// Exactly one is set in a valid pod. `unsupported` names a source the API has and this node has not.
struct VolumeProjection {
  std::optional<KeyedProjection> secret;
  std::optional<DownwardApiProjection> downward_api;
  std::optional<KeyedProjection> config_map;
  std::optional<ServiceAccountTokenProjection> service_account_token;
  std::string unsupported;
  bool operator==(const VolumeProjection&) const = default;
};

/// Several sources in one directory.
struct ProjectedVolume {
  std::vector<VolumeProjection> sources;
  int32_t default_mode = 0644;
  bool operator==(const ProjectedVolume&) const = default;
};

struct PersistentVolumeClaimVolume {
  std::string claim_name;
  bool read_only = false;
  bool operator==(const PersistentVolumeClaimVolume&) const = default;
};

/// A directory of an NFS server.
struct NfsVolume {
  std::string server;
  std::string path;  ///< As the server exports it.
  bool read_only = false;
  bool operator==(const NfsVolume&) const = default;
};

/// A volume that a CSI driver makes for this pod alone, and takes away with it (KEP-596).
struct CsiVolume {
  std::string driver;
  bool read_only = false;
  std::string fs_type;
  StringMap attributes;
  std::string node_publish_secret;  ///< Of the pod's namespace; empty: none.
  bool operator==(const CsiVolume&) const = default;
};

/// A claim that is made of a template with the pod: its name is "<pod>-<volume>".
struct EphemeralVolume {
  RawJson volume_claim_template;
  bool operator==(const EphemeralVolume&) const = default;
};

/// The files of an image, to be read (KEP-4639).
struct ImageVolume {
  std::string reference;
  std::optional<PullPolicy> pull_policy;  ///< Set after defaulting, as a container's imagePullPolicy.
  bool operator==(const ImageVolume&) const = default;
};

/// A named volume with exactly one source in a valid pod; with none given, an emptyDir after defaulting.
/// `unsupported` names a source that the API has and this node has not ("iscsi"); validation refuses it.
struct Volume {
  std::string name;
  std::optional<EmptyDirVolume> empty_dir;
  std::optional<HostPathVolume> host_path;
  std::optional<KeyedVolume> config_map;
  std::optional<KeyedVolume> secret;
  std::optional<DownwardApiVolume> downward_api;
  std::optional<ProjectedVolume> projected;
  std::optional<PersistentVolumeClaimVolume> persistent_volume_claim;
  std::optional<NfsVolume> nfs;
  std::optional<CsiVolume> csi;
  std::optional<EphemeralVolume> ephemeral;
  std::optional<ImageVolume> image;
  std::string unsupported;
  bool operator==(const Volume&) const = default;
};

}  // namespace keelson::kube
