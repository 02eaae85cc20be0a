// SPDX-License-Identifier: Apache-2.0
// The Summary API (kubelet stats/v1alpha1): GET /stats/summary.
#pragma once

#include <string>

#include "metrics/node_use.h"

namespace keelson::metrics {

/// JSON. `only_cpu_and_memory`: nothing else of node, pods and containers. A field whose value is not known is left
/// out, as the kubelet leaves it out.
std::string summary_json(const NodeUse& node, bool only_cpu_and_memory);

/// used and inodes_used of what a pod has on the disks of the node: layers, logs, and volumes that are on them.
DiskUse ephemeral_storage(const PodUse& pod);

}  // namespace keelson::metrics
