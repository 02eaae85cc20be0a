// SPDX-License-Identifier: Apache-2.0
// capabilities(7), credentials(7), seccomp(2).
#include "cri/shim/privileges.h"

#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>

#include "common/fd.h"

namespace keelson::cri::shim {

namespace {

constexpr int kLastKnownCapability = 63;

uint32_t half(uint64_t mask, int index) {
  return static_cast<uint32_t>(mask >> (index * 32));
}

Result<> set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  for (int i = 0; i < 2; ++i) {
    data[i] = {.effective = half(effective, i), .permitted = half(permitted, i), .inheritable = half(inheritable, i)};
  }
  if (::syscall(SYS_capset, &header, data) < 0) {
    return fail_errno(errno, "set capabilities");
  }
  return {};
}

Result<> drop_bounding(uint64_t keep) {
  for (int capability = 0; capability <= kLastKnownCapability; ++capability) {
    int has = ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (has < 0) {
      return {};  // past the kernel's last one
    }
    if (has == 1 && ((keep >> capability) & 1) == 0 && ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) {
      return fail_errno(errno, "drop capability {} from the bounding set", capability);
    }
  }
  return {};
}

Result<> raise_ambient(uint64_t mask) {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (int capability = 0; capability <= kLastKnownCapability; ++capability) {
    if (((mask >> capability) & 1) != 0 && ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0) {
      return fail_errno(errno, "raise ambient capability {}", capability);
    }
  }
  return {};
}

Result<> install_seccomp(const std::string& filter) {
  if (filter.empty()) {
    return {};
  }
  sock_fprog program{.len = static_cast<unsigned short>(filter.size() / sizeof(sock_filter)),
                     .filter = reinterpret_cast<sock_filter*>(const_cast<char*>(filter.data()))};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) {
    return fail_errno(errno, "install the seccomp filter");
  }
  return {};
}

Result<> set_apparmor(const std::string& profile, const NodeProc& proc) {
  if (profile.empty()) {
    return {};
  }
  auto attribute = proc.open_file("self/attr/apparmor/exec", O_WRONLY);
  if (!attribute) {
    return attribute.error().kind() == Kind::not_found
               ? fail(Kind::unsupported, "AppArmor '{}' was asked for, but this kernel has no AppArmor", profile)
               : std::unexpected(std::move(attribute).error());
  }
  return write_all(attribute->get(), "exec " + profile).context("set AppArmor '{}'", profile);
}

Result<> set_selinux(const std::string& label, const NodeProc& proc) {
  if (label.empty()) {
    return {};
  }
  // The attribute is there without SELinux too; its file system only with it.
  KEELSON_TRY(auto list, proc.open_file("filesystems", O_RDONLY));
  KEELSON_TRY(auto known, read_all(list.get()));
  if (known.find("selinuxfs") == std::string::npos) {
    return fail(Kind::unsupported, "SELinux '{}' was asked for, but this kernel has no SELinux", label);
  }
  KEELSON_TRY(auto attribute, proc.open_file("self/attr/exec", O_WRONLY));
  return write_all(attribute.get(), label).context("set SELinux '{}'", label);
}

Result<> set_user(const ProcessSpec& process, const User& user) {
  std::vector<gid_t> groups(process.supplemental_gids.begin(), process.supplemental_gids.end());
  if (process.image_groups) {
    groups.insert(groups.end(), user.groups.begin(), user.groups.end());
  }
  // Its own group, too, or a program that is setgid could leave it and pass a file that is closed to it (CVE-2022-36109).
  groups.push_back(user.gid);
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  if (::setgroups(groups.size(), groups.data()) < 0) {
    return fail_errno(errno, "set {} supplemental groups", groups.size());
  }
  if (::setresgid(user.gid, user.gid, user.gid) < 0) {
    return fail_errno(errno, "set group {}", user.gid);
  }
  // Keeps the permitted set over the change of user; it is set exactly right after.
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || ::setresuid(user.uid, user.uid, user.uid) < 0) {
    return fail_errno(errno, "set user {}", user.uid);
  }
  return {};
}

}  // namespace

Result<uint64_t> permitted_capabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) < 0) {
    return fail_errno(errno, "read our capabilities");
  }
  return (static_cast<uint64_t>(data[1].permitted) << 32) | data[0].permitted;
}

Result<> set_oom_score(int32_t score) {
  auto written = write_value("/proc/self/oom_score_adj", std::to_string(score));
  if (!written && written.error().kind() == Kind::permission) {
    return {};  // not below what we have without CAP_SYS_RESOURCE: then we keep that
  }
  return written;
}

Result<> set_rlimits(const std::vector<Rlimit>& limits) {
  for (const auto& limit : limits) {
    rlimit value{.rlim_cur = limit.soft, .rlim_max = limit.hard};
    auto resource = static_cast<__rlimit_resource>(limit.resource);
    if (::setrlimit(resource, &value) == 0) {
      continue;
    }
    rlimit ours{};
    if (errno != EPERM || ::getrlimit(resource, &ours) < 0) {
      return fail_errno(errno, "set resource limit {}", limit.resource);
    }
    value.rlim_max = std::min(value.rlim_max, ours.rlim_max);
    value.rlim_cur = std::min(value.rlim_cur, value.rlim_max);
    if (::setrlimit(resource, &value) < 0) {
      return fail_errno(errno, "set resource limit {}", limit.resource);
    }
  }
  return {};
}

Result<> set_labels(const ProcessSpec& process, const NodeProc& proc) {
  KEELSON_DO(set_apparmor(process.apparmor_profile, proc));
  return set_selinux(process.selinux_label, proc);
}

Result<> drop_privileges(const ProcessSpec& process, const User& user) {
  // Without no_new_privs the filter needs CAP_SYS_ADMIN, so it goes first and must allow what follows (the default
  // does).
  if (!process.no_new_privs) {
    KEELSON_DO(install_seccomp(process.seccomp));
  }
  KEELSON_DO(drop_bounding(process.capabilities.bounding));
  KEELSON_DO(set_user(process, user));
  KEELSON_TRY(auto ours, permitted_capabilities());
  const auto& wanted = process.capabilities;
  // What the node's root itself lacks cannot be given (a nested machine); the rest is exact.
  // A user other than root gets capabilities through exec only by the ambient set.
  KEELSON_DO(set_capabilities(wanted.effective & ours, wanted.permitted & ours, wanted.inheritable & ours));
  KEELSON_DO(raise_ambient(wanted.ambient & ours));
  if (process.no_new_privs) {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
      return fail_errno(errno, "set no_new_privs");
    }
    KEELSON_DO(install_seccomp(process.seccomp));
  }
  return {};
}

}  // namespace keelson::cri::shim
