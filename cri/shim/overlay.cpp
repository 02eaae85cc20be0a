// SPDX-License-Identifier: Apache-2.0
// overlay.h: mount(2) takes 4095 bytes of options, which the paths of some 60 layers fill.
#include "cri/shim/overlay.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mount.h>

#include <algorithm>

#include "common/fd.h"

namespace keelson::cri::shim {

namespace {

constexpr size_t kMostOptions = 4095;

struct Folders {
  std::vector<std::string> lower;
  std::string upper;
  std::string work;
};

Result<> mount_overlay_of(const Folders& folders, const ContainerSpec& spec) {
  auto options = fmt::format("lowerdir={}", fmt::join(folders.lower, ":"));
  if (!folders.upper.empty()) {
    options += fmt::format(",upperdir={},workdir={}", folders.upper, folders.work);
  }
  if (!spec.overlay_options.empty()) {
    options += "," + spec.overlay_options;
  }
  if (options.size() > kMostOptions) {
    return fail(Kind::exhausted, "{} layers do not fit into one overlay mount's options", folders.lower.size());
  }
  if (::mount("overlay", spec.rootfs_dir.c_str(), "overlay", 0, options.c_str()) < 0) {
    return fail_errno(errno, "mount");
  }
  return {};
}

/// Every path becomes the number of a descriptor, as /proc/self/fd names it.
Result<> mount_by_descriptors(const Folders& folders, const ContainerSpec& spec) {
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
  auto mounted = mount_overlay_of(names, spec);
  if (::chdir("/") < 0) {
    return fail_errno(errno, "enter /");
  }
  return mounted;
}

}  // namespace

Result<> mount_overlay(const ContainerSpec& spec) {
  if (spec.lower_dirs.empty()) {
    if (::mount(spec.rootfs_dir.c_str(), spec.rootfs_dir.c_str(), nullptr, MS_BIND | MS_REC, nullptr) < 0) {
      return fail_errno(errno, "mount");
    }
    return {};
  }
  const Folders folders{.lower = spec.lower_dirs, .upper = spec.upper_dir, .work = spec.work_dir};
  // Plain paths while they fit: people read them in the mount table.
  size_t size = spec.upper_dir.size() + spec.work_dir.size() + spec.overlay_options.size() + 64;
  for (const auto& layer : spec.lower_dirs) {
    size += layer.size() + 1;
  }
  return size <= kMostOptions ? mount_overlay_of(folders, spec) : mount_by_descriptors(folders, spec);
}

}  // namespace keelson::cri::shim
