// SPDX-License-Identifier: Apache-2.0
// What a pod's resources amount to: its QoS class, and what the pod as a whole requests and may use.
#pragma once

#include "kube/pod.h"

namespace keelson::kube {

/// Guaranteed: every container, init ones too, has cpu and memory limits equal to its requests. BestEffort: none has
/// any cpu or memory request or limit. Else Burstable. Resources of the pod as a whole, where given, decide alone. Zero
/// counts as unset. (k8s.io/component-helpers resource and qos.ComputePodQOS)
QosClass qos_class(const Pod& pod);

/// Whether what the runtime class costs (spec.overhead) counts.
enum class Overhead { added, left_out };

/// What the pod needs, for admission and its cgroup: per resource the larger of (sum over containers and sidecars) and
/// (each init container plus the sidecars before it), plus overhead. Pod-level requests, where given, win for their
/// resource.
ResourceList pod_requests(const Pod& pod, Overhead overhead = Overhead::added);

/// The same sum over limits. A resource is in the answer if any container limits it; a cgroup limit may be set from it
/// only if all_limited() says so. Overhead is added to what is limited.
ResourceList pod_limits(const Pod& pod, Overhead overhead = Overhead::added);

/// What the containers request for themselves: pod_requests() without what is set for the pod as a whole, and without
/// overhead.
ResourceList container_requests(const Pod& pod);

/// True if at each time all that run have a non-zero limit of `resource`, or the pod as a whole has one: every
/// container, and every init container by itself or by the sidecars that run beside it (component-helpers resource
/// PodLimits: each is counted with the sidecars before it).
bool all_limited(const Pod& pod, std::string_view resource);

/// Whether cpu, memory or huge pages are set for the pod as a whole (KEP-2837).
bool has_pod_level(const Pod& pod);

/// A container's limits; of what may be set for the pod as a whole and it does not limit itself, the pod's.
ResourceList limits_in_pod(const Pod& pod, const Container& container);

}  // namespace keelson::kube
