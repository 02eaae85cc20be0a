// SPDX-License-Identifier: Apache-2.0
// volume_mounts.h.
#include "agent/config/volume_mounts.h"

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>

#include "common/fd.h"

namespace keelson::agent {

namespace {

Result<bool> mount_once(const std::string& folder, const char* type, const std::vector<std::string>& options) {
  KEELSON_DO(make_directories(folder));
  KEELSON_TRY(const bool there, is_mount_point(folder));
  if (there) {
    return false;
  }
  for (const auto& text : options) {
    if (::mount(type, folder.c_str(), type, MS_NOSUID | MS_NODEV, text.c_str()) == 0) {
      return true;
    }
  }
  return fail_errno(errno, "mount {} ({}) on {}", type, options.back(), folder);
}

}  // namespace

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
  struct stat info{};
  if (::lstat(folder.c_str(), &info) < 0 && errno == ENOENT) {
    return {};
  }
  KEELSON_TRY(auto mounts, mounts_below(folder));
  for (const auto& mount : mounts) {
    if (::umount2(mount.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT) {
      return fail_errno(errno, "unmount {}", mount);
    }
  }
  return remove_tree(folder);
}

Result<bool> mount_memory(const std::string& folder, int64_t size) {
  const auto options = size > 0 ? fmt::format("size={}", size) : "";
  return mount_once(folder, "tmpfs", {options + (options.empty() ? "noswap" : ",noswap"), options});
}

Result<bool> mount_huge_pages(const std::string& folder, int64_t page_size) {
  return mount_once(folder, "hugetlbfs", {fmt::format("pagesize={}", page_size)});
}

}  // namespace keelson::agent
