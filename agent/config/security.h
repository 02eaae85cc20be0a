// SPDX-License-Identifier: Apache-2.0
// Security contexts of pod and container merged into what CRI wants (kubelet
// pkg/kubelet/kuberuntime/security_context.go).
#pragma once

#include "common/result.h"
#include "cri/client/types.h"
#include "kube/pod.h"

namespace keelson::agent {

cri::SandboxSecurity sandbox_security(const kube::Pod& pod);
/// The container's own settings win over the pod's. Kind::invalid: runAsNonRoot with user 0.
Result<cri::ContainerSecurity> container_security(const kube::Pod& pod, const kube::Container& container);

}  // namespace keelson::agent
