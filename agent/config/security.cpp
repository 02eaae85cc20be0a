// SPDX-License-Identifier: Apache-2.0
// Merging of security contexts.
#include "agent/config/security.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace keelson::agent {

namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kMasked = {"/proc/asound",     "/proc/acpi",        "/proc/interrupts",
                                          "/proc/kcore",      "/proc/keys",        "/proc/latency_stats",
                                          "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
                                          "/proc/scsi",       "/sys/firmware",     "/sys/devices/virtual/powercap"};
constexpr const char* kProcessors = "/sys/devices/system/cpu";
constexpr const char* kAppArmorOf = "container.apparmor.security.beta.kubernetes.io/";
constexpr std::string_view kAppArmorProfile = "localhost/";
const std::vector<std::string> kReadOnly = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

const std::vector<std::string>& masked() {
  static const auto all = masked_paths(kProcessors);
  return all;
}

cri::SecurityProfile profile_of(const kube::SecurityProfile& profile) {
  switch (profile.type) {
    case kube::ProfileType::runtime_default:
      return {cri::ProfileKind::runtime_default, ""};
    case kube::ProfileType::localhost:
      return {cri::ProfileKind::localhost, profile.localhost_profile.value_or("")};
    case kube::ProfileType::unset:
    case kube::ProfileType::unconfined:
      return {cri::ProfileKind::unconfined, ""};
  }
  return {};
}

/// CRI wants the whole path of a profile's file.
cri::SecurityProfile seccomp_of(const kube::SecurityProfile& profile, const SeccompRules& rules) {
  auto out = profile_of(profile);
  if (out.kind != cri::ProfileKind::localhost) {
    return out;
  }
  const auto name = out.path;
  out.path = rules.folders.front() + "/" + name;
  for (const auto& folder : rules.folders) {
    std::error_code error;
    if (fs::exists(folder + "/" + name, error)) {
      out.path = folder + "/" + name;
      break;
    }
  }
  return out;
}

/// What is none of these says nothing, as for the kubelet.
std::optional<kube::SecurityProfile> apparmor_of_annotation(const std::string& text) {
  if (text == "runtime/default") {
    return kube::SecurityProfile{.type = kube::ProfileType::runtime_default};
  }
  if (text == "unconfined") {
    return kube::SecurityProfile{.type = kube::ProfileType::unconfined};
  }
  if (text.starts_with(kAppArmorProfile)) {
    return kube::SecurityProfile{.type = kube::ProfileType::localhost,
                                 .localhost_profile = text.substr(kAppArmorProfile.size())};
  }
  return std::nullopt;
}

cri::NamespaceOptions namespaces_of(const kube::PodSpec& spec) {
  cri::NamespaceOptions out;
  out.network = spec.host_network ? cri::Namespace::node : cri::Namespace::pod;
  out.ipc = spec.host_ipc ? cri::Namespace::node : cri::Namespace::pod;
  out.pid = spec.host_pid                                  ? cri::Namespace::node
            : spec.share_process_namespace.value_or(false) ? cri::Namespace::pod
                                                           : cri::Namespace::container;
  return out;
}

std::vector<int64_t> groups_of(const kube::PodSecurityContext& pod) {
  auto groups = pod.supplemental_groups;
  if (pod.fs_group) {
    groups.push_back(*pod.fs_group);
  }
  return groups;
}

bool strict(const kube::PodSecurityContext& pod) {
  return pod.supplemental_groups_policy == kube::SupplementalGroupsPolicy::strict;
}

bool any_privileged(const kube::PodSpec& spec) {
  auto privileged = [](const kube::Container& c) {
    return c.security_context && c.security_context->privileged.value_or(false);
  };
  return std::any_of(spec.containers.begin(), spec.containers.end(), privileged) ||
         std::any_of(spec.init_containers.begin(), spec.init_containers.end(), privileged);
}

cri::SeLinuxOptions labels_of(const kube::SeLinuxOptions& in) {
  return {in.user, in.role, in.type, in.level};
}

Result<> check_not_root(const kube::Pod& pod, const kube::Container& container, std::optional<int64_t> user,
                        const ImageUser& image_user) {
  auto where = fmt::format("(pod: \"{}_{}({})\", container: {})", pod.metadata.name, pod.metadata.ns, pod.metadata.uid,
                           container.name);
  if (user == 0) {
    return fail(Kind::invalid, "container's runAsUser breaks non-root policy {}", where);
  }
  if (user) {
    return {};
  }
  if (!image_user.uid && !image_user.name.empty()) {
    return fail(Kind::invalid,
                "container has runAsNonRoot and image has non-numeric user ({}), cannot verify user is non-root {}",
                image_user.name, where);
  }
  return image_user.uid.value_or(0) == 0
             ? fail(Kind::invalid, "container has runAsNonRoot and image will run as root {}", where)
             : Result<>();
}

}  // namespace

std::vector<std::string> masked_paths(const std::string& processors) {
  auto paths = kMasked;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(processors, error)) {
    const auto name = entry.path().filename().string();
    const bool processor = name.starts_with("cpu") && name.find_first_not_of("0123456789", 3) == std::string::npos;
    if (auto heat = entry.path() / "thermal_throttle"; processor && name.size() > 3 && fs::exists(heat)) {
      paths.push_back(heat);
    }
  }
  std::sort(paths.begin() + static_cast<ptrdiff_t>(kMasked.size()), paths.end());
  return paths;
}

std::optional<kube::SecurityProfile> apparmor_profile(const kube::Pod& pod, const kube::Container& container) {
  if (container.security_context && container.security_context->app_armor_profile) {
    return container.security_context->app_armor_profile;
  }
  const auto annotation = pod.metadata.annotations.find(kAppArmorOf + container.name);
  auto said = annotation != pod.metadata.annotations.end() ? apparmor_of_annotation(annotation->second) : std::nullopt;
  return said ? said : pod.spec.security_context.app_armor_profile;
}

cri::SandboxSecurity sandbox_security(const kube::Pod& pod) {
  const auto& context = pod.spec.security_context;
  cri::SandboxSecurity out;
  out.namespaces = namespaces_of(pod.spec);
  out.run_as_user = context.run_as_user;
  out.run_as_group = context.run_as_user ? context.run_as_group : std::nullopt;
  out.supplemental_groups = groups_of(context);
  out.strict_groups = strict(context);
  out.privileged = any_privileged(pod.spec);
  out.seccomp = cri::SecurityProfile{cri::ProfileKind::runtime_default, ""};
  if (context.se_linux_options) {
    out.selinux = labels_of(*context.se_linux_options);
  }
  return out;
}

Result<cri::ContainerSecurity> container_security(const kube::Pod& pod, const kube::Container& container,
                                                  const ImageUser& image_user, const SeccompRules& seccomp) {
  const auto& of_pod = pod.spec.security_context;
  auto own = container.security_context.value_or(kube::SecurityContext{});
  cri::ContainerSecurity out;
  out.namespaces = namespaces_of(pod.spec);
  out.privileged = own.privileged.value_or(false);
  out.run_as_user = own.run_as_user ? own.run_as_user : of_pod.run_as_user;
  out.run_as_group = own.run_as_group ? own.run_as_group : of_pod.run_as_group;
  if ((own.run_as_non_root ? own.run_as_non_root : of_pod.run_as_non_root).value_or(false)) {
    KEELSON_DO(check_not_root(pod, container, out.run_as_user, image_user));
  }
  // CRI refuses a group without a user.
  if (out.run_as_group && !out.run_as_user) {
    if (image_user.uid || image_user.name.empty()) {
      out.run_as_user = image_user.uid.value_or(0);
    } else {
      out.run_as_username = image_user.name;
    }
  }
  out.supplemental_groups = groups_of(of_pod);
  out.strict_groups = strict(of_pod);
  out.read_only_root = own.read_only_root_filesystem.value_or(false);
  if (own.capabilities) {
    out.add_capabilities = own.capabilities->add;
    out.drop_capabilities = own.capabilities->drop;
  }
  out.no_new_privs = !own.allow_privilege_escalation.value_or(true);
  if (!out.privileged && own.proc_mount.value_or(kube::ProcMount::default_mount) == kube::ProcMount::default_mount) {
    out.masked_paths = masked();
    out.read_only_paths = kReadOnly;
  }
  const auto& profile = own.seccomp_profile ? own.seccomp_profile : of_pod.seccomp_profile;
  constexpr auto kWithout = cri::ProfileKind::unconfined;
  out.seccomp = profile ? seccomp_of(*profile, seccomp)
                        : cri::SecurityProfile{seccomp.by_default ? cri::ProfileKind::runtime_default : kWithout, ""};
  if (const auto apparmor = apparmor_profile(pod, container)) {
    out.apparmor = profile_of(*apparmor);
  }
  if (auto selinux = own.se_linux_options ? own.se_linux_options : of_pod.se_linux_options) {
    out.selinux = labels_of(*selinux);
  }
  return out;
}

}  // namespace keelson::agent
