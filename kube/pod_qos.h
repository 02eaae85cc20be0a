// SPDX-License-Identifier: Apache-2.0
// What a pod's resources amount to: its QoS class, and what the pod as a whole requests and may use.
#pragma once

#include "kube/pod.h"

namespace keelson::kube {

/// Guaranteed: every container, init ones too, has cpu and memory limits equal to its requests. BestEffort: none has
/// any cpu or memory request or limit. Else Burstable. Resources of the pod as a whole, where given, decide alone. Zero
/// counts as unset. (k8s.io/component-helpers resource and qos.ComputePodQOS)
QosClass qos_class(const Pod& pod);

/// What the pod needs, for admission and its cgroup: per resource the larger of (sum over containers and sidecars) and
/// (each init container plus the sidecars before it), plus overhead. Pod-level requests, where given, win for their
/// resource.
ResourceList pod_requests(const Pod& pod);

/// The same sum over limits. A resource is in the answer if any container limits it; a cgroup limit may be set from it
/// only if all_limited() says so. Overhead is added to what is limited.
ResourceList pod_limits(const Pod& pod);

/// True if every container and sidecar (or the pod as a whole) has a non-zero limit of `resource`.
bool all_limited(const Pod& pod, std::string_view resource);

}  // namespace keelson::kube
