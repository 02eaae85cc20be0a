// SPDX-License-Identifier: Apache-2.0
// spec.h: who the process is and what it may.
#include <sys/resource.h>

#include <algorithm>

#include "common/fd.h"
#include "cri/runtime/seccomp.h"
#include "cri/runtime/spec.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;

namespace {

constexpr std::string_view kLocalhost = "localhost/";

Result<std::string> seccomp_of(const v1::SecurityProfile& profile, Capabilities bounding, const std::string& root) {
  switch (profile.profile_type()) {
    case v1::SecurityProfile::RuntimeDefault:
      return default_seccomp_program(bounding);
    case v1::SecurityProfile::Localhost:
      break;
    default:
      return std::string();
  }
  KEELSON_TRY(const auto text, localhost_seccomp(profile, root));
  return seccomp_program_of_profile(text).context("{}", profile.localhost_ref());
}

/// As containerd: what cannot be enforced is refused, and not passed over. (RuntimeDefault is no profile of ours.)
Result<std::string> apparmor_of(const v1::LinuxContainerSecurityContext& security, bool kernel_has_it) {
  const auto& profile = security.apparmor();
  if (!security.has_apparmor() || profile.profile_type() == v1::SecurityProfile::Unconfined) {
    return "";
  }
  if (!kernel_has_it) {
    return fail(Kind::unsupported, "apparmor is not supported: this kernel has none");
  }
  if (profile.profile_type() != v1::SecurityProfile::Localhost) {
    return "";
  }
  const std::string& name = profile.localhost_ref();
  return name.starts_with(kLocalhost) ? name.substr(kLocalhost.size()) : name;
}

Result<> add_capabilities(const v1::Capability& wanted, bool privileged, shim::Capabilities& capabilities) {
  const std::vector<std::string> add(wanted.add_capabilities().begin(), wanted.add_capabilities().end());
  const std::vector<std::string> drop(wanted.drop_capabilities().begin(), wanted.drop_capabilities().end());
  Capabilities set = all_capabilities();
  if (!privileged) {
    KEELSON_TRY(set, adjust_capabilities(default_capabilities(), add, drop));
  }
  const std::vector<std::string> ambient(wanted.add_ambient_capabilities().begin(),
                                         wanted.add_ambient_capabilities().end());
  KEELSON_TRY(capabilities.ambient, adjust_capabilities(0, ambient, {}));
  set |= capabilities.ambient;
  capabilities.bounding = set;
  capabilities.permitted = set;
  capabilities.effective = set;
  capabilities.inheritable =
      capabilities.ambient;  // the kernel wants ambient ones inheritable; others would outlive exec
  return {};
}

}  // namespace

Result<std::string> localhost_seccomp(const v1::SecurityProfile& profile, const std::string& root) {
  std::string path = profile.localhost_ref();
  if (path.starts_with(kLocalhost)) {
    path.erase(0, kLocalhost.size());
  }
  if (!path.starts_with('/')) {
    path = root + "/" + path;
  }
  auto text = read_file(path, 4 << 20);
  if (!text) {
    return std::unexpected(Error(Kind::invalid, text.error().message(), text.error().code()));
  }
  return text;
}

Result<> add_security(const SpecInput& input, shim::ContainerSpec& spec) {
  const auto& security = input.config.linux().security_context();
  auto& process = spec.process;
  const bool privileged = security.privileged();
  if (privileged && !input.sandbox.linux().security_context().privileged()) {
    return fail(Kind::invalid, "linux.security_context.privileged: the sandbox is not privileged");
  }
  KEELSON_DO(check_same(security.namespace_options(), input.users)
                 .context("linux.security_context.namespace_options.userns_options"));
  KEELSON_TRY(process.user, process_user(security, input.image));
  process.supplemental_gids.assign(security.supplemental_groups().begin(), security.supplemental_groups().end());
  process.image_groups = security.supplemental_groups_policy() == v1::Merge;
  KEELSON_DO(add_capabilities(security.capabilities(), privileged, process.capabilities)
                 .context("linux.security_context.capabilities"));
  process.no_new_privs = security.no_new_privs();
  spec.read_only_root = security.readonly_rootfs();
  KEELSON_TRY(process.apparmor_profile,
              apparmor_of(security, input.apparmor).context("linux.security_context.apparmor"));
  if (privileged) {
    return {};
  }
  spec.masked_paths.assign(security.masked_paths().begin(), security.masked_paths().end());
  spec.read_only_paths.assign(security.readonly_paths().begin(), security.readonly_paths().end());
  if (security.has_seccomp()) {
    KEELSON_TRY(process.seccomp, seccomp_of(security.seccomp(), process.capabilities.bounding, input.seccomp_dir)
                                     .context("linux.security_context.seccomp"));
  }
  return {};
}

}  // namespace keelson::cri
