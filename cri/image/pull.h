// SPDX-License-Identifier: Apache-2.0
// An image from its registry into the store.
#pragma once

#include <chrono>
#include <string>

#include "common/result.h"
#include "cri/image/auth.h"
#include "cri/image/store.h"

namespace keelson::cri::image {

struct PullOptions {
  std::string config_dir;  ///< of hosts.toml files (hosts.h); may be empty or absent
  std::chrono::milliseconds deadline = std::chrono::hours(1);  ///< for the whole pull, from now
};

/// Asks the registry (or its mirrors) what the reference is now, downloads what is missing, and returns the image.
/// Blocks; thread-safe. Calls for the same reference with the same credentials at the same time are one pull: all get
/// its outcome.
///
/// Content is checked: the manifest against the digest asked for, config and layers against the manifest, unpacked
/// layers against the config. Layers that the store has are not downloaded. Every host is asked in turn until one has
/// it.
///
/// Kind::invalid (the reference; wrong content), not_found, permission (401, 403), unavailable, timeout, exhausted
/// (disk full). The text names the image, each host asked and the HTTP status; never credentials.
Result<StoredImage> pull_image(ImageStore& store, const std::string& reference, const Credentials& credentials,
                               const PullOptions& options);

}  // namespace keelson::cri::image
