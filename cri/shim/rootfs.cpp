// SPDX-License-Identifier: Apache-2.0
// Mounts of a container, safe against symbolic links in its image.
#include "cri/shim/rootfs.h"

#include <fmt/format.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <optional>

namespace keelson::cri::shim {

namespace {

constexpr uint64_t kBindFlags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME;

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

/// Opens `path` inside the root, making what is missing of it: folders, and at the end a folder or an empty file.
/// Symbolic links are followed, but only inside the root.
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

Result<> set_propagation(const std::string& path, uint64_t propagation) {
  if (::mount(nullptr, path.c_str(), nullptr, propagation | MS_REC, nullptr) < 0) {
    return fail_errno(errno, "set the propagation");
  }
  return {};
}

Result<> bind_mount(int root, const Mount& mount) {
  struct stat info{};
  if (::stat(mount.source.c_str(), &info) < 0) {
    return fail_errno(errno, "source {}", mount.source);
  }
  {
    KEELSON_TRY(auto target, open_target(root, mount.target, S_ISDIR(info.st_mode)));
    KEELSON_DO(mount_to(mount.source.c_str(), fd_path(target), nullptr, MS_BIND | MS_REC, nullptr));
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

Result<> filesystem_mount(int root, const Mount& mount) {
  KEELSON_TRY(auto target, open_target(root, mount.target, true));
  KEELSON_DO(mount_to(mount.source.c_str(), fd_path(target), mount.type.c_str(), mount.flags,
                      mount.data.empty() ? nullptr : mount.data.c_str()));
  return {};
}

Result<> make_device(int root, const Device& device) {
  auto slash = device.path.find_last_of('/');
  KEELSON_TRY(auto folder, open_target(root, slash == 0 ? "/" : device.path.substr(0, slash), true));
  std::string name = device.path.substr(slash + 1);
  if (::mknodat(folder.get(), name.c_str(), device.type | device.mode, ::makedev(device.major, device.minor)) < 0 &&
      errno != EEXIST) {
    return fail_errno(errno, "mknod");
  }
  // What is there may be a volume's, and a link in it may lead to a file of the node: only the very node we mean is
  // touched.
  Fd node(::openat(folder.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat info{};
  if (!node || ::fstat(node.get(), &info) < 0) {
    return fail_errno(errno, "look at it");
  }
  if ((info.st_mode & S_IFMT) != device.type || info.st_rdev != ::makedev(device.major, device.minor)) {
    return fail(Kind::invalid, "something else is there already");
  }
  // The mode again, past the umask.
  if (::chmod(fd_path(node).c_str(), device.mode) < 0 ||
      ::fchownat(node.get(), "", device.uid, device.gid, AT_EMPTY_PATH) < 0) {
    return fail_errno(errno, "set its owner and mode");
  }
  return {};
}

Result<> make_device_links(int root) {
  auto folder = open_in_root(root, "/dev", O_PATH | O_DIRECTORY);
  if (!folder) {
    return {};  // an image without /dev, and nobody asked for one
  }
  static constexpr const char* kLinks[][2] = {{"/proc/self/fd", "fd"},
                                              {"/proc/self/fd/0", "stdin"},
                                              {"/proc/self/fd/1", "stdout"},
                                              {"/proc/self/fd/2", "stderr"},
                                              {"pts/ptmx", "ptmx"}};
  for (const auto& [target, name] : kLinks) {
    if (::symlinkat(target, folder->get(), name) < 0 && errno != EEXIST && errno != EROFS) {
      return fail_errno(errno, "link /dev/{}", name);
    }
  }
  return {};
}

Result<> mount_overlay(const ContainerSpec& spec) {
  if (spec.lower_dirs.empty()) {
    return mount_to(spec.rootfs_dir.c_str(), spec.rootfs_dir, nullptr, MS_BIND | MS_REC, nullptr);
  }
  std::string options = "lowerdir=";
  for (size_t i = 0; i < spec.lower_dirs.size(); ++i) {
    options += (i > 0 ? ":" : "") + spec.lower_dirs[i];
  }
  if (!spec.upper_dir.empty()) {
    options += ",upperdir=" + spec.upper_dir + ",workdir=" + spec.work_dir;
  }
  if (!spec.overlay_options.empty()) {
    options += "," + spec.overlay_options;
  }
  if (options.size() >= 4096) {
    return fail(Kind::exhausted, "{} layers do not fit into one overlay mount's options", spec.lower_dirs.size());
  }
  return mount_to("overlay", spec.rootfs_dir, "overlay", 0, options.c_str());
}

Result<> pivot(int root) {
  if (::fchdir(root) < 0 || ::syscall(SYS_pivot_root, ".", ".") < 0) {
    return fail_errno(errno, "pivot_root");
  }
  // The old root is now stacked over the new one at "/", and "." is the old: make it slave, so that unmounting does not
  // reach the node, and drop it.
  if (::mount(nullptr, ".", nullptr, MS_SLAVE | MS_REC, nullptr) < 0 || ::umount2(".", MNT_DETACH) < 0 ||
      ::chdir("/") < 0) {
    return fail_errno(errno, "leave the node's root");
  }
  return {};
}

Result<> mask(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) < 0) {
    return errno == ENOENT || errno == ENOTDIR ? Result<>() : Result<>(fail_errno(errno, "look at it"));
  }
  if (S_ISDIR(info.st_mode)) {
    return mount_to("tmpfs", path, "tmpfs", MS_RDONLY, "size=0k");
  }
  return mount_to("/dev/null", path, nullptr, MS_BIND, nullptr);
}

Result<> make_read_only(const std::string& path) {
  if (::mount(path.c_str(), path.c_str(), nullptr, MS_BIND | MS_REC, nullptr) < 0) {
    return errno == ENOENT || errno == ENOTDIR ? Result<>() : Result<>(fail_errno(errno, "bind it"));
  }
  struct mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::syscall(SYS_mount_setattr, AT_FDCWD, path.c_str(), AT_RECURSIVE, &attributes, sizeof attributes) < 0) {
    return fail_errno(errno, "remount it");
  }
  return {};
}

/// The root's propagation: slave unless a mount wants to be seen outside.
uint64_t root_propagation(const ContainerSpec& spec) {
  if (spec.root_propagation != 0) {
    return spec.root_propagation;
  }
  for (const auto& mount : spec.mounts) {
    if ((mount.propagation & MS_SHARED) != 0) {
      return MS_SHARED;
    }
  }
  return MS_SLAVE;
}

/// Where the mount is that holds `path`.
Result<std::string> mount_point_of(const std::string& path) {
  KEELSON_TRY(auto table, read_file("/proc/self/mountinfo"));
  std::string best = "/";
  size_t at = 0;
  while (at < table.size()) {
    auto end = std::min(table.find('\n', at), table.size());
    // Field 5 is the mount point.
    size_t from = at;
    for (int field = 0; field < 4; ++field) {
      from = table.find(' ', from) + 1;
    }
    auto point = table.substr(from, table.find(' ', from) - from);
    if (point.size() > best.size() && path.starts_with(point) &&
        (path.size() == point.size() || path[point.size()] == '/')) {
      best = point;
    }
    at = end + 1;
  }
  return best;
}

}  // namespace

Result<> enter_rootfs(const ContainerSpec& spec) {
  auto propagation = root_propagation(spec);
  if (::mount(nullptr, "/", nullptr, propagation | MS_REC, nullptr) < 0) {
    return fail_errno(errno, "set the propagation of /");
  }
  if ((propagation & MS_SHARED) != 0) {
    // Else our root would appear on the node, and pivot_root refuses a shared parent.
    KEELSON_TRY(auto parent, mount_point_of(spec.rootfs_dir));
    if (::mount(nullptr, parent.c_str(), nullptr, MS_PRIVATE, nullptr) < 0) {
      return fail_errno(errno, "make {} private", parent);
    }
  }
  KEELSON_DO(mount_overlay(spec).context("mount the root file system on {}", spec.rootfs_dir));
  if (::mount(nullptr, spec.rootfs_dir.c_str(), nullptr, MS_PRIVATE, nullptr) < 0) {
    return fail_errno(errno, "make {} private", spec.rootfs_dir);
  }
  KEELSON_TRY(auto root, open_file(spec.rootfs_dir, O_PATH | O_DIRECTORY));
  for (const auto& mount : spec.mounts) {
    auto mounted = mount.kind == MountKind::bind ? bind_mount(root.get(), mount) : filesystem_mount(root.get(), mount);
    KEELSON_DO(std::move(mounted).context("mount {}", mount.target));
  }
  for (const auto& device : spec.devices) {
    KEELSON_DO(make_device(root.get(), device).context("device {}", device.path));
  }
  KEELSON_DO(make_device_links(root.get()));
  KEELSON_DO(pivot(root.get()));
  for (const auto& path : spec.masked_paths) {
    KEELSON_DO(mask(path).context("mask {}", path));
  }
  for (const auto& path : spec.read_only_paths) {
    KEELSON_DO(make_read_only(path).context("make {} read-only", path));
  }
  if (spec.read_only_root) {
    struct mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY;
    if (::syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attributes, sizeof attributes) < 0) {
      return fail_errno(errno, "make the root read-only");
    }
  }
  return {};
}

}  // namespace keelson::cri::shim
