// SPDX-License-Identifier: Apache-2.0
// Folders, tmpfs and host paths of pods.
#include "agent/config/volumes.h"

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "agent/config/empty_dir.h"
#include "agent/config/host_path.h"
#include "agent/config/pod_storage.h"
#include "agent/config/volume_mounts.h"
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

/// Missing folders of a subPath, with the mode of the volume itself; links cannot lead out of it.
Result<> make_sub_folders(int root, const std::string& sub_path) {
  struct stat info{};
  if (::fstat(root, &info) < 0) {
    return fail_errno(errno, "subPath {}", sub_path);
  }
  std::string done = ".";
  for (const auto& step : fs::path(sub_path)) {
    const auto& name = step.native();
    if (name.empty() || name == ".") {
      continue;
    }
    KEELSON_TRY(auto parent, open_in_root(root, done, O_PATH | O_DIRECTORY));
    if (::mkdirat(parent.get(), name.c_str(), 0700) == 0) {
      Fd made(::openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!made || ::fchmod(made.get(), info.st_mode & 02777) < 0) {
        return fail_errno(errno, "set the mode of subPath {}", sub_path);
      }
    } else if (errno != EEXIST) {
      return fail_errno(errno, "make subPath {}", sub_path);
    }
    done += "/" + name;
  }
  return {};
}

/// None: there is no such folder.
Result<std::vector<std::string>> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    names.push_back(entry->path().filename());
  }
  if (error && error.value() != ENOENT && error.value() != ENOTDIR) {
    return fail_errno(error.value(), "list {}", folder);
  }
  return names;
}

Result<> told(const kube::Volume& volume, Result<> outcome) {
  if (!outcome) {
    return std::unexpected(mount_error(outcome.error(), volume.name));
  }
  return {};
}

}  // namespace

std::set<std::string> used_volumes(const kube::PodSpec& spec) {
  std::set<std::string> names;
  const auto add = [&names](const kube::Container& container) {
    for (const auto& mount : container.volume_mounts) {
      names.insert(mount.name);
    }
    for (const auto& device : container.volume_devices) {
      names.insert(device.name);
    }
  };
  std::ranges::for_each(spec.init_containers, add);
  std::ranges::for_each(spec.containers, add);
  for (const auto& ephemeral : spec.ephemeral_containers) {
    add(ephemeral.container);
  }
  return names;
}

kube::Pod with_used_volumes(kube::Pod pod) {
  const auto used = used_volumes(pod.spec);
  std::erase_if(pod.spec.volumes, [&](const kube::Volume& volume) { return !used.contains(volume.name); });
  return pod;
}

bool is_of_objects(const kube::Volume& volume) {
  return volume.config_map || volume.secret || volume.downward_api || volume.projected;
}

std::string Volumes::path_of(const kube::Pod& pod, const kube::Volume& volume) const {
  if (volume.host_path) {
    return volume.host_path->path;
  }
  return fmt::format("{}/volumes/kubernetes.io~{}/{}", pod_dir(pod.metadata.uid), plugin_of(volume), volume.name);
}

Result<> Volumes::mount_one(const kube::Pod& pod, const kube::Volume& volume, const kube::DesiredState& objects,
                            const NodeFacts& node, const std::vector<std::string>& pod_ips,
                            const TokenMap* tokens) const {
  if (volume.host_path) {
    return check_host_path(*volume.host_path);
  }
  if (is_of_storage(volume) || volume.image) {
    return {};  // mounted before this by who knows storage, or by the runtime with each container
  }
  if (volume.empty_dir) {
    return make_empty_dir(
        pod, *volume.empty_dir,
        {.folder = path_of(pod, volume),
         .ready_folder = fmt::format("{}/plugins/kubernetes.io~empty-dir/{}", pod_dir(pod.metadata.uid), volume.name),
         .allocatable = node.allocatable_memory});
  }
  if (!volume.unsupported.empty()) {
    return fail(Kind::unsupported, "volume source {} is not supported", volume.unsupported);
  }
  if (!is_of_objects(volume)) {
    return fail(Kind::unsupported, "no volume plugin matched: this node does not know the volume's source");
  }
  return write_objects(pod, volume, objects, node, pod_ips, tokens);
}

Result<> Volumes::write_objects(const kube::Pod& pod, const kube::Volume& volume, const kube::DesiredState& objects,
                                const NodeFacts& node, const std::vector<std::string>& pod_ips,
                                const TokenMap* tokens) const {
  auto path = path_of(pod, volume);
  KEELSON_TRY(auto files, volume_files(pod, volume, objects, node, pod_ips, tokens));
  // Secrets never touch a disk.
  bool secret = volume.secret.has_value();
  for (const auto& source : volume.projected ? volume.projected->sources : std::vector<kube::VolumeProjection>()) {
    secret = secret || source.secret || source.service_account_token;
  }
  if (secret) {
    KEELSON_DO(mount_memory(path, memory_volume_size(pod, node.allocatable_memory, 0)));
  }
  // As the kubelet's: an emptyDir's mode (a tmpfs' root is 01777). Containers have it read-only.
  if (!secret && !fs::exists(path)) {
    KEELSON_DO(make_directories(path));
    if (::chmod(path.c_str(), 0777) < 0) {
      return fail_errno(errno, "set the mode of {}", path);
    }
  }
  return write_atomic_folder(path, files, pod.spec.security_context.fs_group.value_or(-1));
}

Result<> Volumes::mount_all(const kube::Pod& pod, const kube::DesiredState& objects, const NodeFacts& node,
                            const std::vector<std::string>& pod_ips, const TokenMap* tokens) const {
  KEELSON_DO(make_directories(pod_dir(pod.metadata.uid), 0750));
  for (const auto& volume : pod.spec.volumes) {
    const auto mount = [&] { return mount_one(pod, volume, objects, node, pod_ips, tokens); };
    if (const auto plugin = volume_plugin(volume); plugin.empty() || is_of_storage(volume)) {
      KEELSON_DO(told(volume, mount()));
    } else {
      KEELSON_DO(told(volume, stats_->timed(plugin, "volume_mount", mount)));
      stats_->mounted(pod.metadata.uid, volume.name);
    }
  }
  return {};
}

Result<> Volumes::refresh(const kube::Pod& pod, const kube::DesiredState& objects, const NodeFacts& node,
                          const std::vector<std::string>& pod_ips, const TokenMap* tokens) const {
  for (const auto& volume : pod.spec.volumes) {
    if (is_of_objects(volume)) {
      KEELSON_DO(told(volume, stats_->timed(volume_plugin(volume), "volume_mount", [&] {
        return write_objects(pod, volume, objects, node, pod_ips, tokens);
      })));
    }
  }
  return {};
}

/// Those in folders of plugins. Of CSI drivers there is nothing left but folders: who asks drivers has told of them.
Result<> Volumes::remove_each(const std::string& uid) const {
  constexpr std::string_view kPrefix = "kubernetes.io~";
  const auto folder = pod_dir(uid) + "/volumes";
  KEELSON_TRY(const auto plugins, names_in(folder));
  for (const auto& plugin : plugins) {
    if (!plugin.starts_with(kPrefix) || plugin == "kubernetes.io~csi") {
      continue;
    }
    KEELSON_TRY(const auto names, names_in(folder + "/" + plugin));
    for (const auto& name : names) {
      KEELSON_DO(stats_->timed("kubernetes.io/" + plugin.substr(kPrefix.size()), "volume_unmount",
                               [&] { return unmount_and_remove(fmt::format("{}/{}/{}", folder, plugin, name)); }));
    }
  }
  return {};
}

Result<> Volumes::remove_volumes(const std::string& uid) const {
  KEELSON_DO(unmount_and_remove(pod_dir(uid) + "/volume-subpaths"));
  KEELSON_DO(remove_each(uid));
  for (const char* folder : {"volumes", "volumeDevices", "plugins"}) {
    KEELSON_DO(unmount_and_remove(fmt::format("{}/{}", pod_dir(uid), folder)));
  }
  return {};
}

Result<> Volumes::remove_all(const std::string& uid) const {
  KEELSON_DO(remove_volumes(uid));
  return unmount_and_remove(pod_dir(uid));
}

Result<std::vector<std::string>> Volumes::list() const {
  return names_in(root_ + "/pods");
}

Result<std::string> Volumes::sub_path(const kube::Pod& pod, const std::string& volume_path, const std::string& volume,
                                      const std::string& container, size_t index, const std::string& sub_path) const {
  KEELSON_TRY(auto root, open_file(volume_path, O_PATH | O_DIRECTORY));
  auto target = open_in_root(root.get(), sub_path, O_PATH);
  if (!target && target.error().kind() == Kind::not_found) {
    KEELSON_DO(make_sub_folders(root.get(), sub_path));
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
