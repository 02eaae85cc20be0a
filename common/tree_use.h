// SPDX-License-Identifier: Apache-2.0
// What a tree of files takes of its disk.
#pragma once

#include <cstdint>
#include <string>

namespace keelson {

/// As du(1) counts it.
struct TreeUse {
  uint64_t bytes = 0;  ///< of blocks
  uint64_t inodes = 0;
};

/// All that is at and below `path`, without other file systems and without following a link. Whoever fills the tree may
/// mean harm: what is more than 1024 folders deep is not counted, and costs nothing. What cannot be read, or is not
/// there, counts as nothing.
TreeUse use_of_tree(const std::string& path);

}  // namespace keelson
