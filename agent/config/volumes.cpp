// SPDX-License-Identifier: Apache-2.0
// Folders, tmpfs and host paths of pods.
#include "agent/config/volumes.h"

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "common/fd.h"

namespace keelson::agent {

namespace fs = std::filesystem;

namespace {

const char* plugin_of(const kube::Volume& volume) {
  if (volume.empty_dir) {
    return "empty-dir";
  }
  if (volume.config_map) {
    return "configmap";
  }
  if (volume.secret) {
    return "secret";
  }
  return volume.downward_api ? "downward-api" : "projected";
}

/// Mount points at or below `folder`, deepest first.
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

Result<> mount_tmpfs(const std::string& path, int64_t size) {
  KEELSON_DO(make_directories(path));
  KEELSON_TRY(auto there, mounts_below(path));
  if (std::find(there.begin(), there.end(), path) != there.end()) {
    return {};
  }
  auto options = size > 0 ? fmt::format("size={}", size) : "";
  if (::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) < 0) {
    return fail_errno(errno, "mount tmpfs on {}", path);
  }
  return {};
}

/// fsGroup: the group owns everything, new files inherit it (KEP-695 "OnRootMismatch" looks at the root alone).
Result<> give_to_group(const std::string& path, const kube::PodSecurityContext& security) {
  if (!security.fs_group) {
    return {};
  }
  auto group = static_cast<gid_t>(*security.fs_group);
  struct stat info{};
  bool right = ::stat(path.c_str(), &info) == 0 && info.st_gid == group && (info.st_mode & 02070) == 02070;
  if (right && security.fs_group_change_policy == kube::FsGroupChangePolicy::on_root_mismatch) {
    return {};
  }
  auto give = [&](const std::string& each) -> Result<> {
    struct stat now{};
    if (::lstat(each.c_str(), &now) < 0) {
      return {};
    }
    if (::lchown(each.c_str(), static_cast<uid_t>(-1), group) < 0) {
      return fail_errno(errno, "give {} to group {}", each, group);
    }
    if (!S_ISLNK(now.st_mode) &&
        ::chmod(each.c_str(), (now.st_mode & 07777) | 0060 | (S_ISDIR(now.st_mode) ? 02010 : 0)) < 0) {
      return fail_errno(errno, "open {} to group {}", each, group);
    }
    return {};
  };
  KEELSON_DO(give(path));
  std::error_code ignored;
  for (auto it = fs::recursive_directory_iterator(path, ignored); it != fs::recursive_directory_iterator();
       it.increment(ignored)) {
    KEELSON_DO(give(it->path()));
  }
  return {};
}

int64_t memory_limit_of(const kube::Pod& pod) {
  int64_t sum = 0;
  for (const auto& container : pod.spec.containers) {
    auto limit = container.resources.limits.find("memory");
    if (limit == container.resources.limits.end()) {
      return 0;
    }
    sum += limit->second.whole();
  }
  return sum;
}

Result<> make_empty_dir(const kube::Pod& pod, const kube::EmptyDirVolume& volume, const std::string& path) {
  bool fresh = !fs::exists(path);
  if (volume.medium == "Memory") {
    auto size = volume.size_limit ? volume.size_limit->whole() : 0;
    auto pod_limit = memory_limit_of(pod);
    KEELSON_DO(mount_tmpfs(path, size > 0 && pod_limit > 0 ? std::min(size, pod_limit) : std::max(size, pod_limit)));
  } else if (!volume.medium.empty()) {
    return fail(Kind::unsupported, "emptyDir medium {} is not supported", volume.medium);
  }
  KEELSON_DO(make_directories(path));
  if (fresh && ::chmod(path.c_str(), 0777) < 0) {
    return fail_errno(errno, "set the mode of {}", path);
  }
  return give_to_group(path, pod.spec.security_context);
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

}  // namespace

std::string Volumes::path_of(const kube::Pod& pod, const kube::Volume& volume) const {
  if (volume.host_path) {
    return volume.host_path->path;
  }
  return fmt::format("{}/volumes/kubernetes.io~{}/{}", pod_dir(pod.metadata.uid), plugin_of(volume), volume.name);
}

Result<> Volumes::mount_one(const kube::Pod& pod, const kube::Volume& volume, const DesiredState& objects,
                            const NodeFacts& node, const std::vector<std::string>& pod_ips) const {
  if (volume.host_path) {
    return check_host_path(*volume.host_path);
  }
  if (volume.persistent_volume_claim) {
    return fail(Kind::unsupported, "persistentVolumeClaim {} needs a control plane, and this node has none",
                volume.persistent_volume_claim->claim_name);
  }
  auto path = path_of(pod, volume);
  if (volume.empty_dir) {
    return make_empty_dir(pod, *volume.empty_dir, path);
  }
  if (!volume.unsupported.empty()) {
    return fail(Kind::unsupported, "volume source {} is not supported", volume.unsupported);
  }
  KEELSON_TRY(auto files, volume_files(pod, volume, objects, node, pod_ips));
  // Secrets never touch a disk.
  bool secret = volume.secret.has_value();
  for (const auto& source : volume.projected ? volume.projected->sources : std::vector<kube::VolumeProjection>()) {
    secret = secret || source.secret.has_value();
  }
  if (secret) {
    KEELSON_DO(mount_tmpfs(path, 0));
  }
  return write_atomic_folder(path, files, pod.spec.security_context.fs_group.value_or(-1));
}

Result<> Volumes::mount_all(const kube::Pod& pod, const DesiredState& objects, const NodeFacts& node,
                            const std::vector<std::string>& pod_ips) const {
  KEELSON_DO(make_directories(pod_dir(pod.metadata.uid), 0750));
  for (const auto& volume : pod.spec.volumes) {
    auto mounted = mount_one(pod, volume, objects, node, pod_ips);
    if (!mounted) {
      const auto& error = mounted.error();
      return std::unexpected(Error(
          error.kind(), fmt::format("MountVolume.SetUp failed for volume \"{}\" : {}", volume.name, error.message()),
          error.code()));
    }
  }
  return {};
}

Result<> Volumes::remove_all(const std::string& uid) const {
  auto folder = pod_dir(uid);
  KEELSON_TRY(auto mounts, mounts_below(folder));
  for (const auto& mount : mounts) {
    if (::umount2(mount.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT) {
      return fail_errno(errno, "unmount {}", mount);
    }
  }
  return remove_tree(folder);
}

Result<std::vector<std::string>> Volumes::list() const {
  std::vector<std::string> uids;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root_ + "/pods", error)) {
    uids.push_back(entry.path().filename());
  }
  if (error && error.value() != ENOENT) {
    return fail_errno(error.value(), "list {}/pods", root_);
  }
  return uids;
}

Result<std::string> Volumes::sub_path(const kube::Pod& pod, const std::string& volume_path, const std::string& volume,
                                      const std::string& container, size_t index, const std::string& sub_path) const {
  KEELSON_TRY(auto root, open_file(volume_path, O_PATH | O_DIRECTORY));
  auto target = open_in_root(root.get(), sub_path, O_PATH);
  if (!target && target.error().kind() == Kind::not_found) {
    std::string done;
    for (size_t at = 0; at < sub_path.size();) {
      auto slash = std::min(sub_path.find('/', at), sub_path.size());
      KEELSON_TRY(auto parent, open_in_root(root.get(), done.empty() ? "." : done, O_PATH | O_DIRECTORY));
      auto name = sub_path.substr(at, slash - at);
      if (::mkdirat(parent.get(), name.c_str(), 0750) < 0 && errno != EEXIST) {
        return fail_errno(errno, "make subPath {}", sub_path);
      }
      done += (done.empty() ? "" : "/") + name;
      at = slash + 1;
    }
    target = open_in_root(root.get(), sub_path, O_PATH);
  }
  if (!target) {
    return std::unexpected(std::move(target).error().with_context(fmt::format("subPath {}", sub_path)));
  }
  struct stat info{};
  if (::fstat(target->get(), &info) < 0) {
    return fail_errno(errno, "subPath {}", sub_path);
  }
  auto pin = fmt::format("{}/volume-subpaths/{}/{}/{}", pod_dir(pod.metadata.uid), volume, container, index);
  KEELSON_TRY(auto there, mounts_below(pin));
  if (!there.empty()) {
    ::umount2(pin.c_str(), MNT_DETACH);
  }
  KEELSON_DO(make_directories(S_ISDIR(info.st_mode) ? pin : pin.substr(0, pin.rfind('/')), 0750));
  if (!S_ISDIR(info.st_mode)) {
    KEELSON_TRY(auto file, open_file(pin, O_WRONLY | O_CREAT, 0640));
  }
  if (::mount(fmt::format("/proc/self/fd/{}", target->get()).c_str(), pin.c_str(), nullptr, MS_BIND, nullptr) < 0) {
    return fail_errno(errno, "pin subPath {}", sub_path);
  }
  return pin;
}

}  // namespace keelson::agent
