// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/simple_volumes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "agent/config/group_owner.h"
#include "agent/config/host_path.h"
#include "agent/config/volume_mounts.h"
#include "agent/storage/names.h"
#include "common/fd.h"
#include "common/process.h"

namespace keelson::storage {

namespace {

constexpr std::chrono::minutes kNfsDeadline{2};

Result<agent::MountedVolume> mount_local(const std::string& root, const kube::Pod& pod, const BoundVolume& bound) {
  const auto& source = bound.volume.local->path;
  struct stat info{};
  if (::stat(source.c_str(), &info) < 0) {
    return fail_errno(errno, "local volume \"{}\": path \"{}\"", bound.name, source);
  }
  if (bound.volume.volume_mode == kube::VolumeMode::block) {
    if (!S_ISBLK(info.st_mode)) {
      return fail(Kind::invalid, "local volume \"{}\": path \"{}\" is not a block device", bound.name, source);
    }
    return agent::MountedVolume{.path = source, .read_only = bound.read_only, .block = true};
  }
  if (!S_ISDIR(info.st_mode)) {
    return fail(Kind::unsupported,
                "local volume \"{}\": path \"{}\" is not a directory: mount the device there on the node, or ask for "
                "volumeMode Block",
                bound.name, source);
  }
  auto target = volumes_dir(root, pod.metadata.uid, "local-volume", bound.name);
  KEELSON_TRY(const bool there, agent::is_mount_point(target));
  if (!there) {
    KEELSON_DO(make_directories(target, 0750));
    // Before it is there, and so once, and all of it.
    if (!bound.read_only) {
      KEELSON_DO(agent::give_to_group(source, pod.spec.security_context));
    }
    if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) < 0) {
      return fail_errno(errno, "bind {} to {}", source, target);
    }
  }
  return agent::MountedVolume{.path = target, .read_only = bound.read_only};
}

Result<agent::MountedVolume> mount_nfs(const std::string& root, const kube::Pod& pod, const BoundVolume& bound) {
  const auto& nfs = *bound.volume.nfs;
  auto target = volumes_dir(root, pod.metadata.uid, "nfs", bound.name);
  agent::MountedVolume mounted{.path = target, .read_only = bound.read_only};
  KEELSON_TRY(const bool there, agent::is_mount_point(target));
  if (there) {
    return mounted;
  }
  KEELSON_DO(make_directories(target, 0750));
  const bool ipv6 = nfs.server.find(':') != std::string::npos && !nfs.server.starts_with('[');
  auto options = bound.volume.mount_options;
  if (bound.read_only) {
    options.emplace_back("ro");
  }
  Command command{.args = {"/usr/bin/mount", "-t", "nfs"}, .env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, .input = {}};
  command.deadline = kNfsDeadline;
  if (!options.empty()) {
    command.args.insert(command.args.end(), {"-o", fmt::format("{}", fmt::join(options, ","))});
  }
  command.args.push_back(fmt::format("{}{}{}:{}", ipv6 ? "[" : "", nfs.server, ipv6 ? "]" : "", nfs.path));
  command.args.push_back(target);
  KEELSON_TRY(const auto output, run_command(command));
  if (output.exit_code != 0) {
    return fail(Kind::unavailable, "mount failed: exit status {}: {}: {}", output.exit_code,
                fmt::join(command.args, " "), output.error);
  }
  return mounted;
}

}  // namespace

Result<agent::MountedVolume> mount_simple(const std::string& root, const kube::Pod& pod, const BoundVolume& bound) {
  if (bound.volume.host_path) {
    KEELSON_DO(agent::check_host_path(*bound.volume.host_path));
    return agent::MountedVolume{.path = bound.volume.host_path->path, .read_only = bound.read_only};
  }
  if (bound.volume.local) {
    return mount_local(root, pod, bound);
  }
  if (bound.volume.nfs) {
    return mount_nfs(root, pod, bound);
  }
  return fail(Kind::invalid, "PV {} has no source", bound.name);
}

}  // namespace keelson::storage
