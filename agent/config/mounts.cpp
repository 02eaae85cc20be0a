// SPDX-License-Identifier: Apache-2.0
#include "agent/config/mounts.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>

#include "common/fd.h"

namespace keelson::agent {

Result<std::vector<std::string>> mounts_below(const std::string& folder) {
  KEELSON_TRY(auto table, read_file("/proc/self/mountinfo"));
  std::vector<std::string> found;
  for (size_t at = 0; at < table.size();) {
    auto end = std::min(table.find('\n', at), table.size());
    size_t from = at;
    for (int field = 0; field < 4; ++field) {
      from = table.find(' ', from) + 1;
    }
    auto point = table.substr(from, table.find(' ', from) - from);
    if (point == folder || point.starts_with(folder + "/")) {
      found.push_back(point);
    }
    at = end + 1;
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  return found;
}

Result<bool> is_mount_point(const std::string& path) {
  KEELSON_TRY(const auto there, mounts_below(path));
  return std::ranges::find(there, path) != there.end();
}

Result<> unmount_and_remove(const std::string& folder) {
  KEELSON_TRY(auto mounts, mounts_below(folder));
  for (const auto& mount : mounts) {
    if (::umount2(mount.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT) {
      return fail_errno(errno, "unmount {}", mount);
    }
  }
  return remove_tree(folder);
}

Result<> check_host_path(const kube::HostPathVolume& volume) {
  using Type = kube::HostPathType;
  struct stat info{};
  bool there = ::stat(volume.path.c_str(), &info) == 0;
  auto wrong = [&](const char* what) {
    return fail(Kind::invalid, "hostPath type check failed: {} is not a {}", volume.path, what);
  };
  switch (volume.type) {
    case Type::unset:
      return {};
    case Type::directory_or_create:
      if (!there) {
        return make_directories(volume.path, 0755);
      }
      return S_ISDIR(info.st_mode) ? Result<>() : wrong("directory");
    case Type::file_or_create:
      if (!there) {
        KEELSON_TRY(auto file, open_file(volume.path, O_WRONLY | O_CREAT, 0644));
        return {};
      }
      return S_ISREG(info.st_mode) ? Result<>() : wrong("file");
    case Type::directory:
      return there && S_ISDIR(info.st_mode) ? Result<>() : wrong("directory");
    case Type::file:
      return there && S_ISREG(info.st_mode) ? Result<>() : wrong("file");
    case Type::socket:
      return there && S_ISSOCK(info.st_mode) ? Result<>() : wrong("socket file");
    case Type::char_device:
      return there && S_ISCHR(info.st_mode) ? Result<>() : wrong("character device");
    case Type::block_device:
      return there && S_ISBLK(info.st_mode) ? Result<>() : wrong("block device");
  }
  return {};
}

}  // namespace keelson::agent
