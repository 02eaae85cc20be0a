// SPDX-License-Identifier: Apache-2.0
// A layer's archive as a folder for overlayfs, whatever the archive says.
//
// Every entry is made below one folder's descriptor: ".." in a path is refused, links are never followed out of the
// folder (openat2 RESOLVE_IN_ROOT), a hard link's target is looked up the same way. Whiteouts (".wh.name",
// ".wh..wh..opq") become overlayfs' own. Device nodes are made as they are: they sit in a folder only root can enter
// (ImageStore), and containers get no device by them. Of extended attributes only user.* and security.capability are
// taken, so that a layer cannot speak overlayfs' private language.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"

namespace keelson::cri::image {

struct UnpackLimits {
  uint64_t bytes = uint64_t{64} << 30;  ///< of the uncompressed archive
  uint64_t entries = 5'000'000;
};

/// What passed by.
struct Unpacked {
  std::string diff_id;  ///< sha256 of the uncompressed archive
  uint64_t bytes = 0;   ///< of file content
};

/// Unpacks the archive (tar; plain, gzip or zstd) in `fd`, from its present offset, into the empty folder `target`.
/// Kind::invalid names the entry that is wrong; exhausted when a limit is passed or the disk is full. What was made so
/// far is left for the caller to remove.
Result<Unpacked> unpack_layer(int fd, const std::string& target, UnpackLimits limits);

}  // namespace keelson::cri::image
