// SPDX-License-Identifier: Apache-2.0
// rootfs.h: the order of the mounts, and pivot_root(2).
#include "cri/shim/rootfs.h"

#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "cri/shim/devices.h"
#include "cri/shim/masks.h"
#include "cri/shim/mounts.h"
#include "cri/shim/overlay.h"

namespace keelson::cri::shim {

namespace {

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
    KEELSON_DO(mount_in(root.get(), mount).context("mount {}", mount.target));
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
