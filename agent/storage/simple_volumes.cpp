// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/simple_volumes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "agent/config/host_path.h"
#include "agent/config/volume_mounts.h"
#include "agent/storage/names.h"
#include "common/fd.h"
#include "common/process.h"

namespace keelson::storage {

namespace {

constexpr std::chrono::minutes kNfsDeadline{2};

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
  if (bound.volume.nfs) {
    return mount_nfs(root, pod, bound);
  }
  return fail(Kind::invalid, "PV {} has no source", bound.name);
}

}  // namespace keelson::storage
