// SPDX-License-Identifier: Apache-2.0
// spec.h: what comes with CDI devices.
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string_view>

#include "cri/runtime/spec.h"

namespace keelson::cri {

namespace {

struct MountOption {
  uint64_t flags = 0;
  uint64_t propagation = 0;
};

/// Those that OCI's runtimes know of binds.
const std::map<std::string_view, MountOption>& mount_options() {
  static const std::map<std::string_view, MountOption> kOptions = {
      {"ro", {MS_RDONLY, 0}},     {"rw", {0, 0}},
      {"nosuid", {MS_NOSUID, 0}}, {"suid", {0, 0}},
      {"nodev", {MS_NODEV, 0}},   {"dev", {0, 0}},
      {"noexec", {MS_NOEXEC, 0}}, {"exec", {0, 0}},
      {"bind", {0, 0}},           {"rbind", {0, 0}},
      {"private", {0, 0}},        {"rprivate", {0, 0}},
      {"slave", {0, MS_SLAVE}},   {"rslave", {0, MS_SLAVE}},
      {"shared", {0, MS_SHARED}}, {"rshared", {0, MS_SHARED}}};
  return kOptions;
}

/// Whose a node is that the spec gives to nobody: the process's, if it is known to be somebody else than root.
uint32_t owner_of(std::optional<uint32_t> given, bool known, int64_t of_process) {
  return given.value_or(known ? static_cast<uint32_t>(of_process) : 0);
}

/// Type and numbers, by the spec or as the node's device has them.
Result<> identify(const cdi::DeviceNode& node, shim::Device& device) {
  const uint32_t wanted = node.type == "b" ? S_IFBLK : S_IFCHR;
  if (node.type == "p") {
    return fail(Kind::unsupported, "CDI device node {}: pipes (type p) are not made", node.path);
  }
  if (!node.type.empty() && (node.major.value_or(0) != 0 || node.minor.value_or(0) != 0)) {
    device.type = wanted;
    device.major = node.major.value_or(0);
    device.minor = node.minor.value_or(0);
    return {};
  }
  const auto& host = node.host_path.empty() ? node.path : node.host_path;
  struct stat info{};
  if (::stat(host.c_str(), &info) != 0) {
    return fail_errno(errno, "CDI device node {}", host);
  }
  device.type = info.st_mode & S_IFMT;
  device.major = ::major(info.st_rdev);
  device.minor = ::minor(info.st_rdev);
  if ((!S_ISCHR(info.st_mode) && !S_ISBLK(info.st_mode)) || (!node.type.empty() && wanted != device.type)) {
    return fail(Kind::invalid, "CDI device node {}: no device of type {}", host,
                node.type.empty() ? "b or c" : node.type);
  }
  return {};
}

}  // namespace

Result<> add_cdi(const SpecInput& input, shim::ContainerSpec& spec) {
  for (const auto& entry : input.cdi_edits.env) {
    set_env(spec.process.env, entry);
  }
  for (const uint32_t group : input.cdi_edits.groups) {
    if (group != 0) {
      spec.process.supplemental_gids.push_back(group);
    }
  }
  const auto& security = input.config.linux().security_context();
  for (const auto& node : input.cdi_edits.nodes) {
    shim::Device device;
    device.path = node.path;
    device.mode = node.mode.value_or(0666) & 07777;
    device.uid = owner_of(node.uid, security.has_run_as_user(), security.run_as_user().value());
    device.gid = owner_of(node.gid, security.has_run_as_group(), security.run_as_group().value());
    KEELSON_DO(identify(node, device));
    std::erase_if(spec.devices, [&](const auto& old) { return old.path == device.path; });
    spec.devices.push_back(std::move(device));
  }
  return {};
}

Result<shim::Mount> cdi_mount(const cdi::Mount& wanted) {
  shim::Mount mount;
  mount.target = std::filesystem::path(wanted.container_path).lexically_normal().string();
  if (mount.target.size() > 1 && mount.target.ends_with('/')) {
    mount.target.pop_back();
  }
  const bool bind = wanted.type.empty() || wanted.type == "bind" || wanted.type == "none";
  mount.kind = bind ? shim::MountKind::bind : shim::MountKind::filesystem;
  mount.type = bind ? "" : wanted.type;
  mount.propagation = bind ? MS_PRIVATE : 0;
  for (const auto& option : wanted.options) {
    const auto known = mount_options().find(option);
    if (known != mount_options().end()) {
      mount.flags |= known->second.flags;
      mount.propagation = known->second.propagation != 0 ? known->second.propagation : mount.propagation;
    } else if (bind) {
      return fail(Kind::invalid, "CDI mount {}: option \"{}\" is not known", wanted.container_path, option);
    } else {
      mount.data += (mount.data.empty() ? "" : ",") + option;
    }
  }
  mount.source = wanted.host_path;
  if (bind) {
    std::error_code error;
    mount.source = std::filesystem::canonical(wanted.host_path, error).string();
    if (error) {
      return fail_errno(error.value(), "CDI mount {}: {}", wanted.container_path, wanted.host_path);
    }
  }
  return mount;
}

}  // namespace keelson::cri
