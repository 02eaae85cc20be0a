// SPDX-License-Identifier: Apache-2.0
// Images from files: docker archives (`docker save`), OCI layouts as a folder or as a tar.
#pragma once

#include <string>
#include <vector>

#include "cri/image/store.h"

namespace keelson::cri::image {

/// Loads every image at `path`; the names they now have. Kind::invalid names what is wrong in the archive. Names come
/// from the archive (RepoTags; annotation io.containerd.image.name or org.opencontainers.image.ref.name).
Result<std::vector<std::string>> load_images(ImageStore& store, const std::string& path);

}  // namespace keelson::cri::image
