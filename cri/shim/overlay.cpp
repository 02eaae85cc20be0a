// SPDX-License-Identifier: Apache-2.0
// overlay.h: mount(2) takes 4095 bytes of options, which the paths of some 60 layers fill.
#include "cri/shim/overlay.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "common/fd.h"
#include "cri/shim/mounts.h"

namespace keelson::cri::shim {

namespace {

constexpr size_t kMostOptions = 4095;

struct Folders {
  std::vector<std::string> lower;
  std::string upper;
  std::string work;
};

Result<> mount_folders(const Folders& folders, const Overlay& overlay) {
  auto options = fmt::format("lowerdir={}", fmt::join(folders.lower, ":"));
  if (!folders.upper.empty()) {
    options += fmt::format(",upperdir={},workdir={}", folders.upper, folders.work);
  }
  if (!overlay.options.empty()) {
    options += "," + overlay.options;
  }
  if (options.size() > kMostOptions) {
    return fail(Kind::exhausted, "{} layers do not fit into one overlay mount's options", folders.lower.size());
  }
  if (::mount("overlay", overlay.target.c_str(), "overlay", 0, options.c_str()) < 0) {
    return fail_errno(errno, "mount");
  }
  return {};
}

/// Every path becomes the number of a descriptor, as /proc/self/fd names it.
Result<> mount_by_descriptors(const Folders& folders, const Overlay& overlay) {
  std::vector<Fd> held;
  auto name_of = [&held](const std::string& path) -> Result<std::string> {
    KEELSON_TRY(auto folder, open_file(path, O_PATH | O_DIRECTORY));
    held.push_back(std::move(folder));
    return std::to_string(held.back().get());
  };
  Folders names;
  for (const auto& layer : folders.lower) {
    KEELSON_TRY(auto name, name_of(layer));
    names.lower.push_back(std::move(name));
  }
  if (!folders.upper.empty()) {
    KEELSON_TRY(names.upper, name_of(folders.upper));
    KEELSON_TRY(names.work, name_of(folders.work));
  }
  if (::chdir("/proc/self/fd") < 0) {
    return fail_errno(errno, "enter /proc/self/fd");
  }
  auto mounted = mount_folders(names, overlay);
  if (::chdir("/") < 0) {
    return fail_errno(errno, "enter /");
  }
  return mounted;
}

/// A copy of the mount of `folder`, with the owners that it has for `users`.
Result<Fd> mapped_copy(const std::string& folder, const UserNamespace& users) {
  Fd copy(::open_tree(AT_FDCWD, folder.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!copy) {
    return fail_errno(errno, "copy the mount of {}", folder);
  }
  KEELSON_DO(map_owners(copy.get(), users.fd.get()).context("{}", folder));
  return copy;
}

/// Attaches it to a new folder `name` here.
Result<> place(const Fd& copy, const std::string& name) {
  if (::mkdir(name.c_str(), 0755) < 0 ||
      ::move_mount(copy.get(), "", AT_FDCWD, name.c_str(), MOVE_MOUNT_F_EMPTY_PATH) < 0) {
    return fail_errno(errno, "place layer {}", name);
  }
  return {};
}

/// overlayfs has no idmapped mounts of its own; its layers are, each where a short name leads to it: on a tmpfs that
/// the whole then covers. The upper and the work folder have to be on one and the same mount.
Result<> mount_layers_mapped(const Overlay& overlay, const UserNamespace& users) {
  constexpr const char* kWritable = "writable";
  Folders names;
  std::vector<std::pair<std::string, Fd>> copies;  // all before the tmpfs, which may cover them
  for (const auto& layer : overlay.lower_dirs) {
    names.lower.push_back(std::to_string(names.lower.size()));
    KEELSON_TRY(auto copy, mapped_copy(layer, users));
    copies.emplace_back(names.lower.back(), std::move(copy));
  }
  if (!overlay.upper_dir.empty()) {
    const std::filesystem::path upper = overlay.upper_dir;
    const std::filesystem::path work = overlay.work_dir;
    if (upper.parent_path() != work.parent_path()) {
      return fail(Kind::invalid, "upper_dir {} and work_dir {} are not in one folder", overlay.upper_dir,
                  overlay.work_dir);
    }
    KEELSON_TRY(auto copy, mapped_copy(upper.parent_path(), users));
    copies.emplace_back(kWritable, std::move(copy));
    names.upper = kWritable / upper.filename();
    names.work = kWritable / work.filename();
  }
  if (::mount("none", overlay.target.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=1m,mode=0700") < 0 ||
      ::chdir(overlay.target.c_str()) < 0) {
    return fail_errno(errno, "make room for the layers");
  }
  for (const auto& [name, copy] : copies) {
    KEELSON_DO(place(copy, name));
  }
  auto mounted = mount_folders(names, overlay);
  if (::chdir("/") < 0) {
    return fail_errno(errno, "enter /");
  }
  return mounted;
}

Result<> mount_folder(const ContainerSpec& spec, const UserNamespace& users) {
  const Mount self{.source = spec.rootfs_dir, .target = "/", .propagation = MS_PRIVATE, .idmapped = true};
  KEELSON_TRY(const auto copy, copy_source(self));
  KEELSON_TRY(const auto root, open_file(spec.rootfs_dir, O_PATH | O_DIRECTORY));
  return attach_bind(root.get(), self, copy, users);
}

}  // namespace

Result<> mount_layers(const Overlay& overlay, const UserNamespace& users) {
  if (users) {
    return mount_layers_mapped(overlay, users);
  }
  const Folders folders{.lower = overlay.lower_dirs, .upper = overlay.upper_dir, .work = overlay.work_dir};
  // Plain paths while they fit: people read them in the mount table.
  size_t size = overlay.upper_dir.size() + overlay.work_dir.size() + overlay.options.size() + 64;
  for (const auto& layer : overlay.lower_dirs) {
    size += layer.size() + 1;
  }
  return size <= kMostOptions ? mount_folders(folders, overlay) : mount_by_descriptors(folders, overlay);
}

Result<> mount_overlay(const ContainerSpec& spec, const UserNamespace& users) {
  if (spec.lower_dirs.empty()) {
    return mount_folder(spec, users);
  }
  return mount_layers({.lower_dirs = spec.lower_dirs,
                       .upper_dir = spec.upper_dir,
                       .work_dir = spec.work_dir,
                       .target = spec.rootfs_dir,
                       .options = spec.overlay_options},
                      users);
}

}  // namespace keelson::cri::shim
