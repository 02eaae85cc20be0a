// SPDX-License-Identifier: Apache-2.0
// Images that are mounted into containers: Mount.image of CRI (KEP-4639).
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "cri/runtime/image_source.h"
#include "cri/runtime/records.h"

namespace keelson::cri {

/// How every error begins that has to do with such an image, as clients tell it by (cri-api pkg/errors).
inline constexpr std::string_view kImageVolumeMountFailed = "ImageVolumeMountFailed";

/// Acquires for a container the images that `config` mounts, by number in config.mounts, and makes the folders below
/// `container_dir` that they need. Kind::not_found: one is not here; Kind::invalid: the mount has a host path, too, or
/// is not read-only. Whoever removes the container releases them with its own.
Result<std::map<int, ImageVolume>> acquire_image_volumes(ImageSource& images,
                                                         const ::runtime::v1::ContainerConfig& config,
                                                         const std::string& container_id,
                                                         const std::string& container_dir);

/// The same images for a container that was here before, as its record names them. The error names those that are not
/// here any more.
Result<> hold_image_volumes(ImageSource& images, const ContainerRecord& record);

/// From now on the record names them by their ids, which no other image gets.
void name_image_volumes(const std::map<int, ImageVolume>& volumes, ContainerRecord& record);

}  // namespace keelson::cri
