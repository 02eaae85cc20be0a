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
  KEELSON_TRY(auto old, open_file("/", O_PATH | O_DIRECTORY));
  if (::fchdir(root) < 0 || ::syscall(SYS_pivot_root, ".", ".") < 0) {
    return fail_errno(errno, "pivot_root");
  }
  // The old root is now stacked over the new one at "/". "." has to be the old by its descriptor: mount(2) does not
  // climb onto what is stacked over ".", and would take the new root, with the mounts that are shared with the node.
  // Made slave, so that unmounting does not reach the node; then dropped.
  if (::fchdir(old.get()) < 0 || ::mount(nullptr, ".", nullptr, MS_SLAVE | MS_REC, nullptr) < 0 ||
      ::umount2(".", MNT_DETACH) < 0 || ::chdir("/") < 0) {
    return fail_errno(errno, "leave the node's root");
  }
  return {};
}

/// What mounts that are shared with the node start from: copies, taken while ours still are the node's peers.
Result<std::vector<Fd>> copy_shared_sources(const ContainerSpec& spec) {
  std::vector<Fd> copies(spec.mounts.size());
  for (size_t i = 0; i < copies.size(); ++i) {
    const auto& mount = spec.mounts[i];
    if (mount.kind == MountKind::bind && (mount.propagation & MS_SHARED) != 0) {
      copies[i] = Fd(::open_tree(AT_FDCWD, mount.source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
      if (!copies[i]) {
        return fail_errno(errno, "mount {}: source {}", mount.target, mount.source);
      }
    }
  }
  return copies;
}

}  // namespace

Result<> enter_rootfs(const ContainerSpec& spec) {
  KEELSON_TRY(auto shared, copy_shared_sources(spec));
  // From here on, what is mounted here does not reach the node, but through those copies.
  if (::mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) < 0) {
    return fail_errno(errno, "set the propagation of /");
  }
  KEELSON_DO(mount_overlay(spec).context("mount the root file system on {}", spec.rootfs_dir));
  if (::mount(nullptr, spec.rootfs_dir.c_str(), nullptr, MS_PRIVATE, nullptr) < 0) {
    return fail_errno(errno, "make {} private", spec.rootfs_dir);
  }
  KEELSON_TRY(auto root, open_file(spec.rootfs_dir, O_PATH | O_DIRECTORY));
  for (size_t i = 0; i < spec.mounts.size(); ++i) {
    KEELSON_DO(mount_in(root.get(), spec.mounts[i], shared[i].get()).context("mount {}", spec.mounts[i].target));
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
