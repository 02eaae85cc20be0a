// SPDX-License-Identifier: Apache-2.0
// rootfs.h: the order of the mounts, and pivot_root(2).
#include "cri/shim/rootfs.h"

#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <algorithm>
#include <filesystem>

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

/// Taken while our mounts still are the node's peers: those that are to be shared with it start from that.
Result<std::vector<Fd>> copy_sources(const ContainerSpec& spec) {
  std::vector<Fd> copies(spec.mounts.size());
  for (size_t i = 0; i < copies.size(); ++i) {
    if (spec.mounts[i].kind == MountKind::bind) {
      KEELSON_TRY(copies[i], copy_source(spec.mounts[i]).context("mount {}", spec.mounts[i].target));
    }
  }
  return copies;
}

/// Before the root, which may cover where they come together.
Result<> copy_images(const ContainerSpec& spec, const UserNamespace& users, std::vector<Fd>& copies) {
  for (size_t i = 0; i < copies.size(); ++i) {
    if (spec.mounts[i].kind == MountKind::image) {
      KEELSON_TRY(copies[i], copy_image(spec.mounts[i], users));
    }
  }
  return {};
}

Result<> mount_one(int root, const Mount& mount, const Fd& copy, const UserNamespace& users) {
  auto mounted = mount.kind == MountKind::filesystem ? mount_filesystem(root, mount, users)
                                                     : attach_bind(root, mount, copy, users);
  return std::move(mounted).context("mount {}", mount.target);
}

bool is_proc(const Mount& mount) {
  return mount.kind == MountKind::filesystem && mount.type == "proc";
}

/// The paths at and below which a procfs is to be.
class ProcPaths {
 public:
  ProcPaths(const ContainerSpec& spec, bool wanted) {
    for (const auto& mount : spec.mounts) {
      if (wanted && is_proc(mount)) {
        paths_.push_back(std::filesystem::path(mount.target).lexically_normal());
      }
    }
  }
  bool contain(const std::string& path) const {
    const auto normal = std::filesystem::path(path).lexically_normal();
    return std::ranges::any_of(paths_, [&](const auto& proc) {
      return std::mismatch(proc.begin(), proc.end(), normal.begin(), normal.end()).first == proc.end();
    });
  }
  /// Takes those that are at or below out of `paths`.
  std::vector<std::string> split(std::vector<std::string>& paths) const {
    std::vector<std::string> taken;
    std::ranges::copy_if(paths, std::back_inserter(taken), [&](const auto& path) { return contain(path); });
    std::erase_if(paths, [&](const auto& path) { return contain(path); });
    return taken;
  }

 private:
  std::vector<std::filesystem::path> paths_;
};

Result<> cover(const std::vector<std::string>& masked, const std::vector<std::string>& read_only) {
  for (const auto& path : masked) {
    KEELSON_DO(mask(path).context("mask {}", path));
  }
  for (const auto& path : read_only) {
    KEELSON_DO(make_read_only(path).context("make {} read-only", path));
  }
  return {};
}

}  // namespace

Result<RestOfRootfs> enter_rootfs(const ContainerSpec& spec, const UserNamespace& users, bool leave_proc) {
  const ProcPaths left(spec, leave_proc);
  RestOfRootfs rest;
  KEELSON_TRY(auto copies, copy_sources(spec));
  // From here on, what is mounted here does not reach the node, but through those copies.
  if (::mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) < 0) {
    return fail_errno(errno, "set the propagation of /");
  }
  KEELSON_DO(copy_images(spec, users, copies));
  KEELSON_DO(mount_overlay(spec, users).context("mount the root file system on {}", spec.rootfs_dir));
  if (::mount(nullptr, spec.rootfs_dir.c_str(), nullptr, MS_PRIVATE, nullptr) < 0) {
    return fail_errno(errno, "make {} private", spec.rootfs_dir);
  }
  KEELSON_TRY(auto root, open_file(spec.rootfs_dir, O_PATH | O_DIRECTORY));
  for (size_t i = 0; i < spec.mounts.size(); ++i) {
    const auto& mount = spec.mounts[i];
    if (!left.contain(mount.target)) {
      KEELSON_DO(mount_one(root.get(), mount, copies[i], users));
      continue;
    }
    if (is_proc(mount)) {
      KEELSON_DO(open_real_target(root.get(), mount.target).context("mount {}", mount.target));
    }
    rest.mounts.push_back({.mount = i, .copy = std::move(copies[i])});
  }
  for (const auto& device : spec.devices) {
    KEELSON_DO(make_device(root.get(), device, users).context("device {}", device.path));
  }
  KEELSON_DO(make_device_links(root.get()));
  KEELSON_DO(pivot(root.get()));
  auto masked = spec.masked_paths;
  auto read_only = spec.read_only_paths;
  rest.masked = left.split(masked);
  rest.read_only = left.split(read_only);
  KEELSON_DO(cover(masked, read_only));
  if (spec.read_only_root) {
    struct mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY;
    if (::mount_setattr(AT_FDCWD, "/", 0, &attributes, sizeof attributes) < 0) {
      return fail_errno(errno, "make the root read-only");
    }
  }
  return rest;
}

Result<> finish_rootfs(const ContainerSpec& spec, const RestOfRootfs& rest, const UserNamespace& users,
                       const std::function<Result<Fd>(uint64_t)>& make_proc) {
  KEELSON_TRY(const auto root, open_file("/", O_PATH | O_DIRECTORY));
  for (const auto& part : rest.mounts) {
    const auto& mount = spec.mounts[part.mount];
    if (!is_proc(mount)) {
      KEELSON_DO(mount_one(root.get(), mount, part.copy, users));
      continue;
    }
    KEELSON_TRY(const auto proc, make_proc(mount.flags).context("mount {}", mount.target));
    KEELSON_TRY(const auto target, open_real_target(root.get(), mount.target));
    KEELSON_DO(attach(proc, target).context("mount {}", mount.target));
  }
  return cover(rest.masked, rest.read_only);
}

}  // namespace keelson::cri::shim
