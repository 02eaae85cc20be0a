// SPDX-License-Identifier: Apache-2.0
// bundle.h.
#include "cri/shim/oci/bundle.h"

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>

#include "cri/shim/capability_names.h"
#include "cri/shim/oci/json.h"

namespace keelson::cri::shim::oci {

namespace {

constexpr std::pair<uint64_t, const char*> kMountFlags[] = {
    {MS_RDONLY, "ro"},       {MS_NOSUID, "nosuid"},         {MS_NODEV, "nodev"},       {MS_NOEXEC, "noexec"},
    {MS_NOATIME, "noatime"}, {MS_NODIRATIME, "nodiratime"}, {MS_RELATIME, "relatime"}, {MS_STRICTATIME, "strictatime"}};

constexpr const char* kLimits[] = {"RLIMIT_CPU",      "RLIMIT_FSIZE", "RLIMIT_DATA",   "RLIMIT_STACK",
                                   "RLIMIT_CORE",     "RLIMIT_RSS",   "RLIMIT_NPROC",  "RLIMIT_NOFILE",
                                   "RLIMIT_MEMLOCK",  "RLIMIT_AS",    "RLIMIT_LOCKS",  "RLIMIT_SIGPENDING",
                                   "RLIMIT_MSGQUEUE", "RLIMIT_NICE",  "RLIMIT_RTPRIO", "RLIMIT_RTTIME"};
static_assert(std::size(kLimits) == RLIM_NLIMITS);

constexpr std::string_view kCgroups = "/sys/fs/cgroup";

std::string capability_list(uint64_t set) {
  std::vector<std::string> names;
  for (size_t number = 0; number < std::size(kCapabilityNames); ++number) {
    if ((set >> number & 1) != 0) {
      names.push_back("CAP_" + std::string(kCapabilityNames[number]));
    }
  }
  return quoted_list(names);
}

std::string capabilities_of(const Capabilities& sets) {
  return Object()
      .put("bounding", capability_list(sets.bounding))
      .put("effective", capability_list(sets.effective))
      .put("permitted", capability_list(sets.permitted))
      .put("inheritable", capability_list(sets.inheritable))
      .put("ambient", capability_list(sets.ambient))
      .text();
}

std::string user_of(const ProcessSpec& process, const User& user) {
  std::vector<gid_t> groups(process.supplemental_gids.begin(), process.supplemental_gids.end());
  if (process.image_groups) {
    groups.insert(groups.end(), user.groups.begin(), user.groups.end());
  }
  std::ranges::sort(groups);
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  std::vector<std::string> numbers;
  for (const auto group : groups) {
    numbers.push_back(std::to_string(group));
  }
  return Object().put_number("uid", user.uid).put_number("gid", user.gid).put("additionalGids", array(numbers)).text();
}

std::string limits_of(const std::vector<Rlimit>& limits) {
  std::vector<std::string> items;
  for (const auto& limit : limits) {
    if (limit.resource >= 0 && static_cast<size_t>(limit.resource) < std::size(kLimits)) {
      items.push_back(Object()
                          .put_text("type", kLimits[limit.resource])
                          .put("soft", std::to_string(limit.soft))
                          .put("hard", std::to_string(limit.hard))
                          .text());
    }
  }
  return array(items);
}

std::vector<std::string> options_of(const Mount& mount) {
  std::vector<std::string> options;
  if (mount.kind == MountKind::bind) {
    options.emplace_back("rbind");
    options.emplace_back((mount.propagation & MS_SHARED) != 0  ? "rshared"
                         : (mount.propagation & MS_SLAVE) != 0 ? "rslave"
                                                               : "rprivate");
  }
  for (const auto& [flag, name] : kMountFlags) {
    if ((mount.flags & flag) != 0) {
      options.emplace_back(name);
    }
  }
  if (mount.recursive_read_only) {
    options.emplace_back("rro");
  }
  for (size_t at = 0; at < mount.data.size();) {
    const auto end = std::min(mount.data.find(',', at), mount.data.size());
    options.push_back(mount.data.substr(at, end - at));
    at = end + 1;
  }
  return options;
}

std::string mount_document(const Mount& mount) {
  return Object()
      .put_text("destination", mount.target)
      .put_text("type", mount.kind == MountKind::bind ? "bind" : mount.type)
      .put_text("source", mount.source)
      .put("options", quoted_list(options_of(mount)))
      .text();
}

/// The hierarchies as one mount of type "cgroup": what is below it, a runtime knows from its node.
std::string mounts_of(const std::vector<Mount>& mounts) {
  std::vector<std::string> items;
  bool cgroups = false;
  for (const auto& mount : mounts) {
    const bool hierarchy = mount.kind == MountKind::filesystem && mount.target.starts_with(kCgroups);
    if (!hierarchy) {
      items.push_back(mount_document(mount));
      continue;
    }
    if (mount.type != "tmpfs" && !std::exchange(cgroups, true)) {
      Mount one = mount;
      one.type = one.source = "cgroup";
      one.target = kCgroups;
      one.data.clear();
      items.push_back(mount_document(one));
    }
  }
  return array(items);
}

std::string devices_of(const std::vector<Device>& devices) {
  std::vector<std::string> items;
  for (const auto& device : devices) {
    items.push_back(Object()
                        .put_text("path", device.path)
                        .put_text("type", device.type == S_IFBLK ? "b" : "c")
                        .put_number("major", device.major)
                        .put_number("minor", device.minor)
                        .put_number("fileMode", device.mode & 07777)
                        .put_number("uid", device.uid)
                        .put_number("gid", device.gid)
                        .text());
  }
  return array(items);
}

std::string namespaces_of(const std::vector<Namespace>& namespaces) {
  std::vector<std::string> items;
  for (const auto& one : namespaces) {
    Object item;
    item.put_text("type", one.type);
    if (!one.path.empty()) {
      item.put_text("path", one.path);
    }
    items.push_back(item.text());
  }
  return array(items);
}

/// A mount that is to reach the node, or to be reached from it, needs a root that lets it.
const char* root_propagation(const std::vector<Mount>& mounts) {
  const auto any = [&](uint64_t wanted) {
    return std::ranges::any_of(mounts, [&](const auto& mount) { return (mount.propagation & wanted) != 0; });
  };
  return any(MS_SHARED) ? "rshared" : any(MS_SLAVE) ? "rslave" : nullptr;
}

std::string linux_of(const ContainerSpec& spec, const std::vector<Namespace>& namespaces) {
  Object out;
  out.put_text("cgroupsPath", spec.oci.cgroups_path).put("namespaces", namespaces_of(namespaces));
  if (!spec.oci.resources.empty()) {
    out.put("resources", spec.oci.resources);
  }
  out.put("devices", devices_of(spec.devices));
  if (!spec.oci.seccomp.empty()) {
    out.put("seccomp", spec.oci.seccomp);
  }
  out.put("maskedPaths", quoted_list(spec.masked_paths)).put("readonlyPaths", quoted_list(spec.read_only_paths));
  if (const char* propagation = root_propagation(spec.mounts)) {
    out.put_text("rootfsPropagation", propagation);
  }
  return out.text();
}

}  // namespace

std::string process_document(const Process& process) {
  const auto& spec = process.spec;
  auto env = spec.env;
  if (std::ranges::none_of(env, [](const auto& entry) { return entry.starts_with("HOME=") && entry.size() > 5; })) {
    env.push_back("HOME=" + process.user.home);
  }
  Object out;
  out.put_flag("terminal", spec.tty)
      .put("user", user_of(spec, process.user))
      .put("args", quoted_list(spec.args))
      .put("env", quoted_list(env))
      .put_text("cwd", spec.cwd.empty() ? "/" : spec.cwd)
      .put("capabilities", capabilities_of(spec.capabilities))
      .put("rlimits", limits_of(spec.rlimits))
      .put_flag("noNewPrivileges", spec.no_new_privs)
      .put_number("oomScoreAdj", process.oom_score_adj);
  if (!spec.apparmor_profile.empty()) {
    out.put_text("apparmorProfile", spec.apparmor_profile);
  }
  if (!spec.selinux_label.empty()) {
    out.put_text("selinuxLabel", spec.selinux_label);
  }
  return out.text();
}

std::string config_document(const ContainerSpec& spec, const User& user, const std::vector<Namespace>& namespaces) {
  Object out;
  out.put_text("ociVersion", "1.0.2")
      .put("process", process_document({.spec = spec.process, .user = user, .oom_score_adj = spec.oom_score_adj}))
      .put("root", Object().put_text("path", "rootfs").put_flag("readonly", spec.read_only_root).text())
      .put("mounts", mounts_of(spec.mounts));
  if (!spec.oci.annotations.empty()) {
    out.put("annotations", spec.oci.annotations);
  }
  if (!spec.oci.hooks.empty()) {
    out.put("hooks", spec.oci.hooks);
  }
  return out.put("linux", linux_of(spec, namespaces)).text();
}

}  // namespace keelson::cri::shim::oci
