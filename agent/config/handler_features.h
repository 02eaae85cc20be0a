// SPDX-License-Identifier: Apache-2.0
// What a pod wants of its runtime handler that not every one can do; an old one would not even know the field.
#pragma once

#include <string>

#include "common/result.h"
#include "cri/client/types.h"
#include "kube/pod.h"

namespace keelson::agent {

/// Whether `handler` can make a sandbox of this config: a user namespace, and groups by the policy Strict. Without such
/// a wish `status` is not looked at. Kind::unsupported names the field.
Result<> check_sandbox(const cri::SandboxConfig& config, const cri::RuntimeStatus& status, const std::string& handler);
bool wants_features(const cri::SandboxConfig& config);

/// Whether one of the container's mounts may have to be read-only with all that is below it (KEP-3857).
bool wants_recursive_read_only(const kube::Container& container);
/// Whether the handler can do that.
bool can_recursive_read_only(const cri::RuntimeStatus& status, const std::string& handler);
/// Whether this mount is to be so, if the handler `can`. Kind::invalid, with the kubelet's text: it must be, and
/// cannot.
Result<bool> resolve_recursive_read_only(const kube::VolumeMount& mount, bool can);

}  // namespace keelson::agent
