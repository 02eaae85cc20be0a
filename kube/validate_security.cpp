// SPDX-License-Identifier: Apache-2.0
// Rules of security contexts.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "kube/validate.h"

namespace keelson::kube {

namespace {

void check_profile(Checks& checks, const SecurityProfile& profile, std::string_view what, const Path& path) {
  const Path local = path / "localhostProfile";
  if (profile.type == ProfileType::unset) {
    checks.required(path / "type", fmt::format("type is required when {}Profile is set", what));
  } else if (profile.type == ProfileType::localhost) {
    if (!profile.localhost_profile || profile.localhost_profile->empty()) {
      checks.required(local, fmt::format("must be set when {} type is Localhost", what));
    } else if (what == "seccomp") {
      checks.descending_path(local, *profile.localhost_profile);
    }
  } else if (profile.localhost_profile) {
    checks.invalid(local, *profile.localhost_profile, fmt::format("can only be set when {} type is Localhost", what));
  }
}

/// Segments of lower-case letters, digits, - and _, parted by dots or slashes.
bool is_sysctl(std::string_view name) {
  const auto edge = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  while (true) {
    const size_t end = name.find_first_of("./");
    const std::string_view part = name.substr(0, end);
    const bool good = !part.empty() && edge(part.front()) && edge(part.back()) &&
                      std::ranges::all_of(part, [&](char c) { return edge(c) || c == '-' || c == '_'; });
    if (!good || end == std::string_view::npos) {
      return good;
    }
    name.remove_prefix(end + 1);
  }
}

void check_sysctls(Checks& checks, const PodSpec& spec, const Path& path) {
  std::set<std::string> seen;
  const auto& sysctls = spec.security_context.sysctls;
  for (size_t i = 0; i < sysctls.size(); ++i) {
    const Path at = path[i];
    const Path name_path = at / "name";
    std::string name = sysctls[i].name;
    if (name.empty()) {
      checks.required(name_path);
      continue;
    }
    if (name.size() > 253 || !is_sysctl(name)) {
      checks.invalid(name_path, name,
                     "must have at most 253 characters and match regex "
                     "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*([a-z0-9][-_a-z0-9]*)?[a-z0-9]$");
    }
    std::ranges::replace(name, '/', '.');
    if (!seen.insert(name).second) {
      checks.duplicate(name_path, sysctls[i].name);
    }
    const bool ipc = name.starts_with("kernel.shm") || name.starts_with("kernel.msg") || name == "kernel.sem" ||
                     name.starts_with("fs.mqueue.");
    if (spec.host_network && name.starts_with("net.")) {
      checks.invalid(name_path, sysctls[i].name, "may not be specified when 'hostNetwork' is true");
    }
    if (spec.host_ipc && ipc) {
      checks.invalid(name_path, sysctls[i].name, "may not be specified when 'hostIPC' is true");
    }
  }
}

template <class Context>
void check_ids(Checks& checks, const Context& context, const Path& path) {
  if (context.run_as_user) {
    checks.id(path / "runAsUser", *context.run_as_user);
  }
  if (context.run_as_group) {
    checks.id(path / "runAsGroup", *context.run_as_group);
  }
  check_profiles(checks, context.seccomp_profile, context.app_armor_profile, path);
}

}  // namespace

void check_profiles(Checks& checks, const std::optional<SecurityProfile>& seccomp,
                    const std::optional<SecurityProfile>& app_armor, const Path& path) {
  if (seccomp) {
    check_profile(checks, *seccomp, "seccomp", path / "seccompProfile");
  }
  if (app_armor) {
    check_profile(checks, *app_armor, "appArmor", path / "appArmorProfile");
  }
}

void check_security(Checks& checks, const Container& container, bool host_users, const Path& path) {
  if (!container.security_context) {
    return;
  }
  const SecurityContext& context = *container.security_context;
  check_ids(checks, context, path);
  if (host_users && context.proc_mount == ProcMount::unmasked) {
    checks.invalid(path / "procMount", "Unmasked", "`hostUsers` must be false to use `Unmasked`");
  }
  if (context.allow_privilege_escalation.value_or(true)) {
    return;
  }
  if (context.privileged.value_or(false)) {
    checks.forbidden(path, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
  }
  if (context.capabilities &&
      std::ranges::find(context.capabilities->add, "CAP_SYS_ADMIN") != context.capabilities->add.end()) {
    checks.forbidden(path, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
  }
}

void check_pod_security(Checks& checks, const PodSpec& spec, const Path& path) {
  const PodSecurityContext& context = spec.security_context;
  const Path at = path / "securityContext";
  check_ids(checks, context, at);
  if (context.fs_group) {
    checks.id(at / "fsGroup", *context.fs_group);
  }
  const Path groups = at / "supplementalGroups";
  for (size_t i = 0; i < context.supplemental_groups.size(); ++i) {
    checks.id(groups[i], context.supplemental_groups[i]);
  }
  if (spec.share_process_namespace.value_or(false) && spec.host_pid) {
    checks.forbidden(path / "shareProcessNamespace", "ShareProcessNamespace and HostPID cannot both be enabled");
  }
  check_sysctls(checks, spec, at / "sysctls");
  if (spec.host_users.value_or(true)) {
    return;
  }
  for (const auto& [name, on] : {std::pair<std::string_view, bool>{"hostNetwork", spec.host_network},
                                 {"hostPID", spec.host_pid},
                                 {"hostIPC", spec.host_ipc}}) {
    if (on) {
      checks.forbidden(path / name, "when `hostUsers` is false");
    }
  }
}

}  // namespace keelson::kube
