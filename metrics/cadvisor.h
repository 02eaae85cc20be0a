// SPDX-License-Identifier: Apache-2.0
// /metrics/cadvisor: cgroups and links under cAdvisor's names, with the labels that the kubelet gives them (id, name,
// image, namespace, pod, container), as kubernetes-mixin and its dashboards query them.
#pragma once

#include "common/stats.h"
#include "metrics/node_use.h"

namespace keelson::metrics {

/// The machine, the pods' and QoS classes' cgroups, each pod, each container. A pod's own rows have an empty
/// `container` and `image`; its links stand there. A pod of the host's network has none: they are the machine's.
void collect_cadvisor(const NodeUse& node, Stats& stats);

}  // namespace keelson::metrics
