// SPDX-License-Identifier: Apache-2.0
// A walk by descriptors.
#include "agent/config/group_owner.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <memory>

#include "common/fd.h"

namespace keelson::agent {

namespace {

/// Each level holds a descriptor; deeper trees are made to harm.
constexpr int kMaxDepth = 256;
constexpr mode_t kForGroup = 0060;
constexpr mode_t kFolderForGroup = 02070;

struct Walk {
  gid_t group;
  dev_t device;

  Result<> enter(Fd folder, int depth) const;
  Result<> visit(int folder, const char* name, int depth) const;
  Result<> give(int entry, const struct stat& info, const char* name) const;
};

Result<> Walk::give(int entry, const struct stat& info, const char* name) const {
  if (::fchownat(entry, "", static_cast<uid_t>(-1), group, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0) {
    return fail_errno(errno, "give {} to group {}", name, group);
  }
  if (S_ISLNK(info.st_mode)) {
    return {};
  }
  auto mode = (info.st_mode & 07777) | (S_ISDIR(info.st_mode) ? kFolderForGroup : kForGroup);
  // fchmod() refuses O_PATH descriptors; this name is the very inode.
  if (::chmod(fmt::format("/proc/self/fd/{}", entry).c_str(), mode) < 0) {
    return fail_errno(errno, "open {} to group {}", name, group);
  }
  return {};
}

Result<> Walk::visit(int folder, const char* name, int depth) const {
  Fd entry(::openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat info{};
  if (!entry || ::fstat(entry.get(), &info) < 0) {
    return errno == ENOENT ? Result<>() : fail_errno(errno, "look at {}", name);
  }
  if (info.st_dev != device) {
    return {};
  }
  KEELSON_DO(give(entry.get(), info, name));
  return S_ISDIR(info.st_mode) ? enter(std::move(entry), depth + 1) : Result<>();
}

Result<> Walk::enter(Fd folder, int depth) const {
  if (depth > kMaxDepth) {
    return fail(Kind::exhausted, "the volume has more than {} folders inside each other", kMaxDepth);
  }
  int readable = ::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (readable < 0) {
    return fail_errno(errno, "read a folder of the volume");
  }
  std::unique_ptr<DIR, int (*)(DIR*)> list(::fdopendir(readable), ::closedir);
  if (!list) {
    ::close(readable);
    return fail_errno(ENOMEM, "read a folder of the volume");
  }
  folder.reset();
  while (const dirent* entry = ::readdir(list.get())) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") {
      KEELSON_DO(visit(readable, name.c_str(), depth));
    }
  }
  return {};
}

}  // namespace

Result<> give_to_group(const std::string& folder, const kube::PodSecurityContext& security) {
  if (!security.fs_group) {
    return {};
  }
  KEELSON_TRY(auto root, open_file(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  struct stat info{};
  if (::fstat(root.get(), &info) < 0) {
    return fail_errno(errno, "look at {}", folder);
  }
  Walk walk{.group = static_cast<gid_t>(*security.fs_group), .device = info.st_dev};
  bool right = info.st_gid == walk.group && (info.st_mode & kFolderForGroup) == kFolderForGroup;
  if (right && security.fs_group_change_policy == kube::FsGroupChangePolicy::on_root_mismatch) {
    return {};
  }
  // The root last: it tells that all below is done.
  KEELSON_TRY(auto to_read, duplicate(root.get()));
  KEELSON_DO(walk.enter(std::move(to_read), 0).context("fsGroup of {}", folder));
  return walk.give(root.get(), info, folder.c_str());
}

}  // namespace keelson::agent
