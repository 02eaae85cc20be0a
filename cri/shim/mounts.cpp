// SPDX-License-Identifier: Apache-2.0
// mounts.h: openat2(2), mount(2), mount_setattr(2).
#include "cri/shim/mounts.h"

#include <fmt/format.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace keelson::cri::shim {

namespace {

constexpr uint64_t kBindFlags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME;

// Only for use before pivot_root: this /proc is the node's.
std::string fd_path(const Fd& fd) {
  return fmt::format("/proc/self/fd/{}", fd.get());
}

Result<> mount_to(const char* source, const std::string& target, const char* type, uint64_t flags, const char* data) {
  if (::mount(source, target.c_str(), type, flags, data) < 0) {
    return fail_errno(errno, "mount");
  }
  return {};
}

/// Splits "/a/b/" into its names; "." and "" go, ".." stays for the kernel to bound.
std::vector<std::string> names_of(const std::string& path) {
  std::vector<std::string> names;
  size_t at = 0;
  while (at < path.size()) {
    auto slash = std::min(path.find('/', at), path.size());
    auto name = path.substr(at, slash - at);
    if (!name.empty() && name != ".") {
      names.push_back(name);
    }
    at = slash + 1;
  }
  return names;
}

Result<> set_propagation(const std::string& path, uint64_t propagation) {
  if (::mount(nullptr, path.c_str(), nullptr, propagation | MS_REC, nullptr) < 0) {
    return fail_errno(errno, "set the propagation");
  }
  return {};
}

Result<> attach(const Mount& mount, const Fd& target, int copy) {
  if (copy < 0) {
    return mount_to(mount.source.c_str(), fd_path(target), nullptr, MS_BIND | MS_REC, nullptr);
  }
  if (::move_mount(copy, "", target.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) {
    return fail_errno(errno, "attach {}", mount.source);
  }
  return {};
}

Result<> bind_mount(int root, const Mount& mount, int copy) {
  struct stat info{};
  if (::stat(mount.source.c_str(), &info) < 0) {
    return fail_errno(errno, "source {}", mount.source);
  }
  {
    KEELSON_TRY(auto target, open_target(root, mount.target, S_ISDIR(info.st_mode)));
    KEELSON_DO(attach(mount, target, copy));
  }
  // What is there now is the mount, not the folder below it: open it anew.
  KEELSON_TRY(auto mounted, open_in_root(root, mount.target, O_PATH));
  KEELSON_DO(set_propagation(fd_path(mounted), mount.propagation != 0 ? mount.propagation : MS_PRIVATE));
  auto flags = mount.flags & kBindFlags;
  if (flags != 0) {
    // Flags that the source's mount has and we may not take away: those stay (EPERM otherwise in a user namespace).
    KEELSON_DO(
        mount_to(nullptr, fd_path(mounted), nullptr, MS_BIND | MS_REMOUNT | flags, nullptr).context("set flags"));
  }
  if (mount.recursive_read_only) {
    struct mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY;
    if (::syscall(SYS_mount_setattr, mounted.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) <
        0) {
      return fail_errno(errno, "make it recursively read-only");
    }
  }
  return {};
}

// A folder that no link leads to.
Result<Fd> open_real_folder(int root, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
  Fd folder(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
  if (!folder) {
    return errno == ELOOP ? fail(Kind::invalid, "the image has a link there, and only a folder is safe")
                          : fail_errno(errno, "open {}", path);
  }
  return folder;
}

Result<> filesystem_mount(int root, const Mount& mount) {
  KEELSON_TRY(auto target, open_target(root, mount.target, true));
  if (mount.type == "proc" || mount.type == "sysfs") {
    KEELSON_TRY(target, open_real_folder(root, mount.target));
  }
  KEELSON_DO(mount_to(mount.source.c_str(), fd_path(target), mount.type.c_str(), mount.flags,
                      mount.data.empty() ? nullptr : mount.data.c_str()));
  return {};
}

}  // namespace

Result<Fd> open_target(int root, const std::string& path, bool folder) {
  auto existing = open_in_root(root, path, O_PATH);
  if (existing || existing.error().kind() != Kind::not_found) {
    return existing;
  }
  auto names = names_of(path);
  std::string done = ".";
  for (size_t i = 0; i < names.size(); ++i) {
    std::string next = done + "/" + names[i];
    auto found = open_in_root(root, next, O_PATH);
    if (!found && found.error().kind() != Kind::not_found) {
      return found;
    }
    if (!found) {
      KEELSON_TRY(auto parent, open_in_root(root, done, O_PATH | O_DIRECTORY));
      bool last = i + 1 == names.size();
      int made = last && !folder ? ::mknodat(parent.get(), names[i].c_str(), S_IFREG | 0644, 0)
                                 : ::mkdirat(parent.get(), names[i].c_str(), 0755);
      if (made < 0 && errno != EEXIST) {
        return fail_errno(errno, "make {}", next.substr(1));
      }
    }
    done = next;
  }
  return open_in_root(root, path, O_PATH);
}

Result<> mount_in(int root, const Mount& mount, int copy) {
  return mount.kind == MountKind::bind ? bind_mount(root, mount, copy) : filesystem_mount(root, mount);
}

}  // namespace keelson::cri::shim
