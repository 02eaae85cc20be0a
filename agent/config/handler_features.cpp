// SPDX-License-Identifier: Apache-2.0
// handler_features.h.
#include "agent/config/handler_features.h"

#include <algorithm>

namespace keelson::agent {

namespace {

using Mode = kube::RecursiveReadOnly;

Mode mode_of(const kube::VolumeMount& mount) {
  return mount.recursive_read_only.value_or(Mode::disabled);
}

const cri::HandlerFeatures* features_of(const cri::RuntimeStatus& status, const std::string& handler) {
  const auto found = std::ranges::find(status.handlers, handler, &cri::HandlerFeatures::name);
  return found == status.handlers.end() ? nullptr : &*found;
}

}  // namespace

bool wants_features(const cri::SandboxConfig& config) {
  return config.security.namespaces.users || config.security.strict_groups;
}

Result<> check_sandbox(const cri::SandboxConfig& config, const cri::RuntimeStatus& status, const std::string& handler) {
  const auto* features = features_of(status, handler);
  if (config.security.namespaces.users && (features == nullptr || !features->user_namespaces)) {
    return fail(Kind::unsupported, "spec.hostUsers: the runtime's handler \"{}\" has no user namespaces", handler);
  }
  if (config.security.strict_groups && !status.supplemental_groups_policy.value_or(false)) {
    return fail(Kind::unsupported,
                "spec.securityContext.supplementalGroupsPolicy: the runtime does not support the policy Strict");
  }
  return {};
}

bool wants_recursive_read_only(const kube::Container& container) {
  return std::ranges::any_of(container.volume_mounts,
                             [](const auto& mount) { return mode_of(mount) != Mode::disabled; });
}

bool can_recursive_read_only(const cri::RuntimeStatus& status, const std::string& handler) {
  const auto* features = features_of(status, handler);
  return features != nullptr && features->recursive_read_only_mounts;
}

Result<bool> resolve_recursive_read_only(const kube::VolumeMount& mount, bool can) {
  const auto refuse = [&](const char* why) {
    return fail(
        Kind::invalid,
        "failed to resolve recursive read-only mode: volume \"{}\" requested recursive read-only mode, but it is {}",
        mount.name, why);
  };
  if (mode_of(mount) == Mode::disabled) {
    return false;
  }
  if (!mount.read_only) {
    return refuse("not read-only");
  }
  if (mount.mount_propagation.value_or(kube::MountPropagation::none) != kube::MountPropagation::none) {
    return refuse("not compatible with its mount propagation");
  }
  if (mode_of(mount) == Mode::enabled && !can) {
    return refuse("not supported by the runtime");
  }
  return can;
}

}  // namespace keelson::agent
