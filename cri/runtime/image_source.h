// SPDX-License-Identifier: Apache-2.0
// What a container needs to know of an image. The image store implements it; a test can with a folder.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "cri/runtime/spec.h"

namespace keelson::cri {

/// An unpacked image, ready to be a root file system.
struct RootImage {
  std::string id;                   ///< digest of its config, sha256:...
  std::string reference;            ///< repository@digest, or a tag; what status shows as image_ref
  std::vector<std::string> layers;  ///< folders, top first
  ImageDefaults defaults;
  std::string stop_signal;  ///< as the image names it; empty: SIGTERM
};

class ImageSource {
 public:
  virtual ~ImageSource() = default;
  /// By id, tag or digest. Kind::not_found if it is not here. Thread-safe. The layers must stay while the container
  /// `user` is there: acquired by this call, beside those that it has, and released, all of them, by release().
  virtual Result<RootImage> acquire(const std::string& image, const std::string& user) = 0;
  /// Idempotent.
  virtual void release(const std::string& user) = 0;
  /// Called once, when the containers that were here before have acquired theirs: the rest may go.
  virtual void remove_unused() = 0;
};

}  // namespace keelson::cri
