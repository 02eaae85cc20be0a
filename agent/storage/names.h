// SPDX-License-Identifier: Apache-2.0
// Names and places that the cluster, the drivers and the kubelet have agreed upon.
#pragma once

#include <string>
#include <string_view>

namespace keelson::storage {

/// Of the VolumeAttachment by which a volume is attached to a node (kubelet pkg/volume/csi).
std::string attachment_name(std::string_view handle, std::string_view driver, std::string_view node);
/// Of a volume that a driver makes for one pod.
std::string inline_handle(std::string_view pod_uid, std::string_view volume);
/// As in a Node's status.volumesInUse.
std::string unique_name(std::string_view driver, std::string_view handle);

/// <root>/pods/<uid>/volumes/kubernetes.io~<plugin>/<name>; the last two may be left out.
std::string volumes_dir(const std::string& root, std::string_view uid, std::string_view plugin,
                        std::string_view name = {});
/// <root>/plugins/kubernetes.io/csi/<driver>/<hash of the handle>: of a volume that is staged.
std::string device_dir(const std::string& root, std::string_view driver, std::string_view handle);

}  // namespace keelson::storage
