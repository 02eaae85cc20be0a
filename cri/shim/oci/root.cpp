// SPDX-License-Identifier: Apache-2.0
// root.h: unshare(2), open_tree(2), chroot(2).
#include "cri/shim/oci/root.h"

#include <fmt/format.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "cri/shim/mounts.h"
#include "cri/shim/overlay.h"

namespace keelson::cri::shim::oci {

namespace {

Result<> attach_copy(const Fd& copy, const std::string& place) {
  struct stat info{};
  if (::fstat(copy.get(), &info) < 0) {
    return fail_errno(errno, "look at it");
  }
  if (S_ISDIR(info.st_mode)) {
    KEELSON_DO(make_directories(place, 0700));
  } else {
    KEELSON_TRY(auto file, open_file(place, O_WRONLY | O_CREAT, 0600));
  }
  if (::move_mount(copy.get(), "", AT_FDCWD, place.c_str(), MOVE_MOUNT_F_EMPTY_PATH) < 0) {
    return fail_errno(errno, "mount it on {}", place);
  }
  return {};
}

/// What an OCI runtime knows how to mount of an image: its folder.
Result<> mount_images(ContainerSpec& spec) {
  for (size_t i = 0; i < spec.mounts.size(); ++i) {
    auto& mount = spec.mounts[i];
    if (mount.kind == MountKind::image) {
      KEELSON_TRY(const auto copy, copy_image(mount, UserNamespace()));
      const auto place = fmt::format("{}/image-{}", spec.oci.bundle_dir, i);
      KEELSON_DO(attach_copy(copy, place).context("mount {}", mount.target));
      mount.kind = MountKind::bind;
      mount.source = place;
    }
  }
  return {};
}

}  // namespace

Result<> mount_root(ContainerSpec& spec) {
  if (::unshare(CLONE_NEWNS) < 0) {
    return fail_errno(errno, "make a mount namespace");
  }
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
  // From here on, what is mounted here does not reach the node, but through those copies.
  if (::mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) < 0) {
    return fail_errno(errno, "set the propagation of /");
  }
  KEELSON_DO(mount_images(spec));
  KEELSON_DO(mount_overlay(spec, UserNamespace()).context("mount the root file system on {}", spec.rootfs_dir));
  if (::mount(nullptr, spec.rootfs_dir.c_str(), nullptr, MS_PRIVATE, nullptr) < 0) {
    return fail_errno(errno, "make {} private", spec.rootfs_dir);
  }
  for (size_t i = 0; i < copies.size(); ++i) {
    if (copies[i]) {
      const auto place = fmt::format("{}/shared-{}", spec.oci.bundle_dir, i);
      KEELSON_DO(attach_copy(copies[i], place).context("mount {}", spec.mounts[i].target));
      spec.mounts[i].source = place;
    }
  }
  return {};
}

Result<User> user_in_root(const ContainerSpec& spec) {
  KEELSON_TRY(const auto ours, open_file("/", O_PATH | O_DIRECTORY));
  if (::chroot(spec.rootfs_dir.c_str()) < 0) {
    return fail_errno(errno, "look into {}", spec.rootfs_dir);
  }
  auto user = find_user("", spec.process.user);
  if (::fchdir(ours.get()) < 0 || ::chroot(".") < 0) {
    return fail_errno(errno, "return from {}", spec.rootfs_dir);
  }
  return user;
}

}  // namespace keelson::cri::shim::oci
