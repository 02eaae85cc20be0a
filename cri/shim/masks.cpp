// SPDX-License-Identifier: Apache-2.0
// masks.h. Everything by descriptor, without /proc: what was looked at is what is mounted.
#include "cri/shim/masks.h"

#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <optional>

#include "cri/shim/devices.h"
#include "cri/shim/mounts.h"

namespace keelson::cri::shim {

namespace {

Result<std::optional<Fd>> find(const std::string& path) {
  Fd found(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (found) {
    return std::optional<Fd>(std::move(found));
  }
  if (errno == ENOENT || errno == ENOTDIR) {
    return std::optional<Fd>();
  }
  return fail_errno(errno, "look at it");
}

Result<Fd> copy_mount(const Fd& of, unsigned flags) {
  Fd copy(static_cast<int>(
      ::syscall(SYS_open_tree, of.get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | flags)));
  if (!copy) {
    return fail_errno(errno, "copy the mount");
  }
  return copy;
}

Result<> cover_folder(const Fd& folder) {
  if (::fchdir(folder.get()) < 0 || ::mount("tmpfs", ".", "tmpfs", MS_RDONLY, "size=0k") < 0 || ::chdir("/") < 0) {
    return fail_errno(errno, "mount");
  }
  return {};
}

}  // namespace

Result<> mask(const std::string& path) {
  KEELSON_TRY(auto target, find(path));
  if (!target) {
    return {};
  }
  struct stat info{};
  if (::fstat(target->get(), &info) < 0) {
    return fail_errno(errno, "look at it");
  }
  if (S_ISDIR(info.st_mode)) {
    return cover_folder(*target);
  }
  KEELSON_TRY(auto null, open_null(O_PATH));
  KEELSON_TRY(auto mount, copy_mount(null, 0));
  return attach(mount, *target);
}

Result<> make_read_only(const std::string& path) {
  KEELSON_TRY(auto target, find(path));
  if (!target) {
    return {};
  }
  KEELSON_TRY(auto mount, copy_mount(*target, AT_RECURSIVE));
  struct mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::syscall(SYS_mount_setattr, mount.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) < 0) {
    return fail_errno(errno, "make it read-only");
  }
  return attach(mount, *target);
}

}  // namespace keelson::cri::shim
