// SPDX-License-Identifier: Apache-2.0
// Security contexts of pod and container merged into what CRI wants (kubelet
// pkg/kubelet/kuberuntime/security_context.go).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/pod_runtime.h"
#include "common/result.h"
#include "cri/client/types.h"
#include "kube/pod.h"

namespace keelson::agent {

cri::SandboxSecurity sandbox_security(const kube::Pod& pod);

struct SeccompRules {
  bool by_default = false;  ///< A container for which nothing is said has the runtime's own profile, instead of none.
  /// Where Localhost profiles are sought, in this order; not empty. One that is nowhere is the first one's.
  std::vector<std::string> folders = {"/var/lib/kubelet/seccomp"};
};

/// The container's own settings win over the pod's, and both over the image's user. Kind::invalid, with the kubelet's
/// text: runAsNonRoot, and the user is root or a name (which may be root's).
Result<cri::ContainerSecurity> container_security(const kube::Pod& pod, const kube::Container& container,
                                                  const ImageUser& image_user, const SeccompRules& seccomp = {});

/// The container's, or what the pod's annotation says of it (an API server writes that into the field, a manifest's
/// author may not have), or the pod's.
std::optional<kube::SecurityProfile> apparmor_profile(const kube::Pod& pod, const kube::Container& container);

/// What a container with procMount Default does not see: beside the usual paths thermal_throttle of each processor
/// below `processors` ("/sys/devices/system/cpu") that has it, from which the work of others can be read.
std::vector<std::string> masked_paths(const std::string& processors);

}  // namespace keelson::agent
