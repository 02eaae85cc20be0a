// SPDX-License-Identifier: Apache-2.0
// A new version beside, one rename, the old version away.
#include "agent/config/atomic_folder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>

#include "common/fd.h"

namespace keelson::agent {

namespace fs = std::filesystem;

namespace {

constexpr const char* kData = "..data";

/// As the kubelet's AtomicWriter: whoever made the object, its files stay in the folder.
Result<> check_path(const std::string& path) {
  if (path.empty()) {
    return fail(Kind::invalid, "invalid path: must not be empty string");
  }
  if (path.starts_with('/')) {
    return fail(Kind::invalid, "invalid path: must be relative path: {}", path);
  }
  if (("/" + path + "/").find("/../") != std::string::npos) {
    return fail(Kind::invalid, "invalid path: must not contain '..': {}", path);
  }
  if (path.starts_with("..")) {
    return fail(Kind::invalid, "invalid path: must not start with '..': {}", path);
  }
  return {};
}

bool same(const std::string& version, const VolumeFiles& files) {
  std::error_code error;
  size_t count = 0;
  for (auto it = fs::recursive_directory_iterator(version, error); !error && it != fs::recursive_directory_iterator();
       ++it) {
    count += it->is_regular_file() ? 1 : 0;
  }
  if (error || count != files.size()) {
    return false;
  }
  for (const auto& [path, file] : files) {
    struct stat info{};
    auto whole = version + "/" + path;
    if (::stat(whole.c_str(), &info) < 0 || (info.st_mode & 07777) != file.mode) {
      return false;
    }
    auto data = read_file(whole);
    if (!data || *data != file.data) {
      return false;
    }
  }
  return true;
}

Result<> write_version(const std::string& version, const VolumeFiles& files, int64_t group) {
  auto gid = static_cast<gid_t>(group);
  for (const auto& [path, file] : files) {
    auto whole = version + "/" + path;
    KEELSON_DO(make_directories(whole.substr(0, whole.rfind('/'))));
    KEELSON_TRY(auto fd, open_file(whole, O_WRONLY | O_CREAT | O_EXCL, 0600));
    KEELSON_DO(write_all(fd.get(), file.data).context("{}", path));
    if (file.user >= 0 && ::fchown(fd.get(), static_cast<uid_t>(file.user), static_cast<gid_t>(-1)) < 0) {
      return fail_errno(errno, "give {} to user {}", path, file.user);
    }
    mode_t mode = file.mode;
    if (group >= 0) {
      if (::fchown(fd.get(), static_cast<uid_t>(-1), gid) < 0) {
        return fail_errno(errno, "give {} to group {}", path, group);
      }
      mode |= (mode & 0400) != 0 ? 0040 : 0;
    }
    if (::fchmod(fd.get(), mode) < 0) {
      return fail_errno(errno, "set the mode of {}", path);
    }
  }
  return {};
}

Result<> replace_link(const std::string& target, const std::string& link) {
  auto temporary = link + "_tmp";
  ::unlink(temporary.c_str());
  if (::symlink(target.c_str(), temporary.c_str()) < 0 || ::rename(temporary.c_str(), link.c_str()) < 0) {
    return fail_errno(errno, "link {}", link);
  }
  return {};
}

}  // namespace

Result<> write_atomic_folder(const std::string& folder, const VolumeFiles& files, int64_t owner_group) {
  for (const auto& [path, file] : files) {
    KEELSON_DO(check_path(path));
  }
  KEELSON_DO(make_directories(folder));
  std::error_code ignored;
  auto current = fs::read_symlink(folder + "/" + kData, ignored).string();
  VolumeFiles wanted = files;
  for (auto& [path, file] : wanted) {
    file.mode |= owner_group >= 0 && (file.mode & 0400) != 0 ? 0040 : 0;
  }
  if (!current.empty() && same(folder + "/" + current, wanted)) {
    return {};
  }
  std::string version = folder + "/..version_XXXXXX";
  if (::mkdtemp(version.data()) == nullptr) {
    return fail_errno(errno, "make a folder in {}", folder);
  }
  ::chmod(version.c_str(), 0755);
  KEELSON_DO(write_version(version, files, owner_group));
  KEELSON_DO(replace_link(version.substr(version.rfind('/') + 1), folder + "/" + kData));
  std::set<std::string> names;
  for (const auto& [path, file] : files) {
    auto name = path.substr(0, path.find('/'));
    if (names.insert(name).second &&
        fs::symlink_status(folder + "/" + name, ignored).type() != fs::file_type::symlink) {
      KEELSON_DO(replace_link(std::string(kData) + "/" + name, folder + "/" + name));
    }
  }
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    auto name = entry.path().filename().string();
    bool old_version = name.starts_with("..") && name != kData && entry.path() != version;  // a kubelet's, too
    bool old_name = !name.starts_with("..") && !names.contains(name);
    if (old_version || old_name) {
      KEELSON_DO(remove_tree(entry.path()));
    }
  }
  return {};
}

}  // namespace keelson::agent
