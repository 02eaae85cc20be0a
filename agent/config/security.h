// SPDX-License-Identifier: Apache-2.0
// Security contexts of pod and container merged into what CRI wants (kubelet
// pkg/kubelet/kuberuntime/security_context.go).
#pragma once

#include <string>
#include <vector>

#include "agent/pod_runtime.h"
#include "common/result.h"
#include "cri/client/types.h"
#include "kube/pod.h"

namespace keelson::agent {

cri::SandboxSecurity sandbox_security(const kube::Pod& pod);
/// The container's own settings win over the pod's, and both over the image's user. Kind::invalid, with the kubelet's
/// text: runAsNonRoot, and the user is root or a name (which may be root's). `seccomp_default`: a container for which
/// nothing is said has the runtime's own profile, instead of none.
Result<cri::ContainerSecurity> container_security(const kube::Pod& pod, const kube::Container& container,
                                                  const ImageUser& image_user, bool seccomp_default = false);

/// What a container with procMount Default does not see: beside the usual paths thermal_throttle of each processor
/// below `processors` ("/sys/devices/system/cpu") that has it, from which the work of others can be read.
std::vector<std::string> masked_paths(const std::string& processors);

}  // namespace keelson::agent
