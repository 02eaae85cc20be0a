// SPDX-License-Identifier: Apache-2.0
// Rules of volumes and of mounting them.
#include <fmt/format.h>

#include <set>

#include "kube/validate.h"

namespace keelson::kube {

namespace {

void check_items(Checks& checks, const std::vector<KeyToPath>& items, const Path& path) {
  for (size_t i = 0; i < items.size(); ++i) {
    const KeyToPath& item = items[i];
    const Path at = path[i];
    if (item.key.empty()) {
      checks.required(at / "key");
    }
    if (item.path.empty()) {
      checks.required(at / "path");
    }
    checks.descending_path(at / "path", item.path);
    if (item.path.starts_with("..") && !item.path.starts_with("../") && item.path != "..") {
      checks.invalid(at / "path", item.path, "must not start with '..'");
    }
    if (item.mode) {
      checks.mode(at / "mode", *item.mode);
    }
  }
}

void check_keyed(Checks& checks, const KeyedVolume& volume, std::string_view name_field, const Path& path) {
  if (volume.name.empty()) {
    checks.required(path / name_field);
  }
  checks.mode(path / "defaultMode", volume.default_mode);
  check_items(checks, volume.items, path / "items");
}

void check_files(Checks& checks, const std::vector<DownwardApiFile>& files, const Path& path) {
  for (size_t i = 0; i < files.size(); ++i) {
    const DownwardApiFile& file = files[i];
    const Path at = path[i];
    if (file.path.empty()) {
      checks.required(at / "path");
    }
    checks.descending_path(at / "path", file.path);
    if (file.field_ref) {
      check_field_ref(checks, *file.field_ref, true, at / "fieldRef");
    }
    if (file.resource_field_ref) {
      check_resource_field_ref(checks, *file.resource_field_ref, true, at / "resourceFieldRef");
    }
    if (file.field_ref && file.resource_field_ref) {
      checks.invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
    } else if (!file.field_ref && !file.resource_field_ref) {
      checks.required(at, "one of fieldRef and resourceFieldRef is required");
    }
    if (file.mode) {
      checks.mode(at / "mode", *file.mode);
    }
  }
}

void check_projection(Checks& checks, const VolumeProjection& source, const Path& path) {
  int count = 0;
  const auto one_more = [&](std::string_view name) {
    if (count++ > 0) {
      checks.forbidden(path / name, "may not specify more than 1 volume type");
    }
  };
  const auto keyed = [&](const std::optional<KeyedProjection>& projection, std::string_view name) {
    if (projection) {
      one_more(name);
      const Path at = path / name;
      if (projection->name.empty()) {
        checks.required(at / "name");
      }
      check_items(checks, projection->items, at / "items");
    }
  };
  keyed(source.secret, "secret");
  keyed(source.config_map, "configMap");
  if (source.downward_api) {
    one_more("downwardAPI");
    const Path at = path / "downwardAPI";
    check_files(checks, source.downward_api->items, at / "items");
  }
  if (source.service_account_token) {
    one_more("serviceAccountToken");
    const Path at = path / "serviceAccountToken";
    const auto& token = *source.service_account_token;
    if (token.expiration_seconds < 600) {
      checks.invalid(at / "expirationSeconds", token.expiration_seconds,
                     "may not specify a duration less than 10 minutes");
    } else if (token.expiration_seconds > int64_t{1} << 32) {
      checks.invalid(at / "expirationSeconds", token.expiration_seconds,
                     "may not specify a duration larger than 2^32 seconds");
    }
    if (token.path.empty()) {
      checks.required(at / "path");
    }
    checks.descending_path(at / "path", token.path);
  }
  if (!source.unsupported.empty()) {
    one_more(source.unsupported);
    checks.forbidden(path / source.unsupported, "this node does not support this source");
  }
  if (count == 0) {
    checks.required(path, "must specify a volume type");
  }
}

void check_projected(Checks& checks, const ProjectedVolume& volume, const Path& path) {
  checks.mode(path / "defaultMode", volume.default_mode);
  const Path sources = path / "sources";
  std::set<std::string_view> paths;
  for (size_t i = 0; i < volume.sources.size(); ++i) {
    const VolumeProjection& source = volume.sources[i];
    check_projection(checks, source, sources[i]);
    for (const auto* keyed : {&source.secret, &source.config_map}) {
      if (!*keyed) {
        continue;
      }
      for (const KeyToPath& item : (*keyed)->items) {
        if (!item.path.empty() && !paths.insert(item.path).second) {
          checks.invalid(sources[i], item.path, "conflicting duplicate paths");
        }
      }
    }
  }
}

void check_nfs(Checks& checks, const NfsVolume& volume, const Path& path) {
  if (volume.server.empty()) {
    checks.required(path / "server");
  }
  if (volume.path.empty()) {
    checks.required(path / "path");
  } else if (!volume.path.starts_with('/')) {
    checks.invalid(path / "path", volume.path, "must be an absolute path");
  }
}

/// The source of a volume: exactly one.
void check_volume_source(Checks& checks, const Volume& volume, const Path& path) {
  int count = 0;
  const auto first = [&](std::string_view name, bool present) {
    if (present && count++ > 0) {
      checks.forbidden(path / name, "may not specify more than 1 volume type");
      return false;
    }
    return present;
  };
  if (first("emptyDir", volume.empty_dir.has_value())) {
    const EmptyDirVolume& dir = *volume.empty_dir;
    const Path at = path / "emptyDir";
    if (dir.size_limit && dir.size_limit->negative()) {
      checks.forbidden(at / "sizeLimit", "SizeLimit field must be a valid resource quantity");
    }
    if (!dir.medium.empty() && dir.medium != "Memory" && !dir.medium.starts_with("HugePages")) {
      checks.unsupported(at / "medium", dir.medium, {"", "HugePages", "HugePages-<size>", "Memory"});
    }
  }
  if (first("hostPath", volume.host_path.has_value())) {
    const Path at = path / "hostPath";
    if (volume.host_path->path.empty()) {
      checks.required(at / "path");
    }
    checks.no_backsteps(at / "path", volume.host_path->path);
  }
  if (first("secret", volume.secret.has_value())) {
    check_keyed(checks, *volume.secret, "secretName", path / "secret");
  }
  if (first("persistentVolumeClaim", volume.persistent_volume_claim.has_value()) &&
      volume.persistent_volume_claim->claim_name.empty()) {
    checks.required(path / "persistentVolumeClaim" / "claimName");
  }
  if (first("nfs", volume.nfs.has_value())) {
    check_nfs(checks, *volume.nfs, path / "nfs");
  }
  if (first("csi", volume.csi.has_value()) && volume.csi->driver.empty()) {
    checks.required(path / "csi" / "driver");
  }
  if (first("ephemeral", volume.ephemeral.has_value()) && volume.ephemeral->volume_claim_template.json.empty()) {
    checks.required(path / "ephemeral" / "volumeClaimTemplate");
  }
  if (first("image", volume.image.has_value()) && volume.image->reference.empty()) {
    checks.required(path / "image" / "reference");
  }
  if (first("downwardAPI", volume.downward_api.has_value())) {
    const Path at = path / "downwardAPI";
    checks.mode(at / "defaultMode", volume.downward_api->default_mode);
    check_files(checks, volume.downward_api->items, at / "items");
  }
  if (first("configMap", volume.config_map.has_value())) {
    check_keyed(checks, *volume.config_map, "name", path / "configMap");
  }
  if (first("projected", volume.projected.has_value())) {
    check_projected(checks, *volume.projected, path / "projected");
  }
  if (first(volume.unsupported, !volume.unsupported.empty())) {
    checks.forbidden(path / volume.unsupported, "this node does not support this volume type");
  }
  if (count == 0) {
    checks.required(path, "must specify a volume type");
  }
}

}  // namespace

VolumesByName check_volumes(Checks& checks, const std::vector<Volume>& volumes, const Path& path) {
  VolumesByName known;
  for (size_t i = 0; i < volumes.size(); ++i) {
    const Volume& volume = volumes[i];
    const Path at = path[i];
    if (volume.name.empty()) {
      checks.required(at / "name");
    } else {
      checks.dns_label(at / "name", volume.name);
      if (!known.emplace(volume.name, &volume).second) {
        checks.duplicate(at / "name", volume.name);
      }
    }
    check_volume_source(checks, volume, at);
  }
  return known;
}

namespace {

void check_mount(Checks& checks, const VolumeMount& mount, bool privileged, const Path& path) {
  if (!mount.sub_path.empty()) {
    checks.descending_path(path / "subPath", mount.sub_path);
  }
  if (!mount.sub_path_expr.empty()) {
    if (!mount.sub_path.empty()) {
      checks.invalid(path / "subPathExpr", mount.sub_path_expr, "subPathExpr and subPath are mutually exclusive");
    }
    checks.descending_path(path / "subPathExpr", mount.sub_path_expr);
  }
  if (mount.mount_propagation == MountPropagation::bidirectional && !privileged) {
    checks.forbidden(path / "mountPropagation",
                     "Bidirectional mount propagation is available only to privileged containers");
  }
  if (mount.recursive_read_only.value_or(RecursiveReadOnly::disabled) != RecursiveReadOnly::disabled) {
    if (!mount.read_only) {
      checks.forbidden(path / "recursiveReadOnly", "may only be specified when readOnly is true");
    }
    if (mount.mount_propagation.value_or(MountPropagation::none) != MountPropagation::none) {
      checks.forbidden(path / "recursiveReadOnly",
                       "may only be specified when mountPropagation is None or not specified");
    }
  }
}

}  // namespace

void check_mounts(Checks& checks, const Container& container, const VolumesByName& volumes, const Path& path) {
  const bool privileged = container.security_context && container.security_context->privileged.value_or(false);
  const Path mounts = path / "volumeMounts";
  std::set<std::string_view> paths;
  for (size_t i = 0; i < container.volume_mounts.size(); ++i) {
    const VolumeMount& mount = container.volume_mounts[i];
    const Path at = mounts[i];
    if (mount.name.empty()) {
      checks.required(at / "name");
    }
    if (!volumes.contains(mount.name)) {
      checks.not_found(at / "name", mount.name);
    }
    if (mount.mount_path.empty()) {
      checks.required(at / "mountPath");
    }
    if (!paths.insert(mount.mount_path).second) {
      checks.invalid(at / "mountPath", mount.mount_path, "must be unique");
    }
    check_mount(checks, mount, privileged, at);
  }
  const Path devices = path / "volumeDevices";
  std::set<std::string_view> device_paths;
  for (size_t i = 0; i < container.volume_devices.size(); ++i) {
    const VolumeDevice& device = container.volume_devices[i];
    const Path at = devices[i];
    const auto it = volumes.find(device.name);
    if (it == volumes.end()) {
      checks.not_found(at / "name", device.name);
    } else if (!it->second->persistent_volume_claim && !it->second->ephemeral) {
      checks.invalid(at / "name", device.name,
                     "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode");
    }
    if (device.device_path.empty()) {
      checks.required(at / "devicePath");
    } else if (!device_paths.insert(device.device_path).second || paths.contains(device.device_path)) {
      checks.invalid(at / "devicePath", device.device_path, "must be unique");
    }
    checks.no_backsteps(at / "devicePath", device.device_path);
  }
}

}  // namespace keelson::kube
