// SPDX-License-Identifier: Apache-2.0
// A folder whose files change all at once (the kubelet's AtomicWriter): the names link to ..data/<name>, and ..data
// links to a folder of this version's files, so a reader sees the old files or the new ones, never a mix.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>

#include "common/result.h"

namespace keelson::agent {

struct VolumeFile {
  std::string data;
  mode_t mode = 0644;
  int64_t user = -1;  ///< Whose it is; -1: ours.
  bool operator==(const VolumeFile&) const = default;
};

/// By path inside the volume, "dir/file" allowed.
using VolumeFiles = std::map<std::string, VolumeFile>;

/// Makes `folder` hold exactly `files`. Nothing is touched when it does already. `owner_group` -1 leaves the group.
Result<> write_atomic_folder(const std::string& folder, const VolumeFiles& files, int64_t owner_group);

}  // namespace keelson::agent
