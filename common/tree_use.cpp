// SPDX-License-Identifier: Apache-2.0
// tree_use.h: nftw(3), which takes stack for each level.
#include "common/tree_use.h"

#include <ftw.h>
#include <sys/stat.h>

namespace keelson {

namespace {

constexpr int kDeepest = 1024;
constexpr int kDescriptors = 16;

}  // namespace

TreeUse use_of_tree(const std::string& path) {
  static thread_local TreeUse use;
  use = {};
  ::nftw(
      path.c_str(),
      [](const char*, const struct stat* info, int, struct FTW* where) -> int {
        use.bytes += static_cast<uint64_t>(info->st_blocks) * 512;
        ++use.inodes;
        return where->level < kDeepest ? FTW_CONTINUE : FTW_SKIP_SUBTREE;
      },
      kDescriptors, FTW_PHYS | FTW_MOUNT | FTW_ACTIONRETVAL);
  return use;
}

}  // namespace keelson
