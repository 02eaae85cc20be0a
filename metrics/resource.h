// SPDX-License-Identifier: Apache-2.0
// /metrics/resource: CPU, memory and swap of node, pods and containers, for metrics-server (kubectl top, HPA).
#pragma once

#include "common/stats.h"
#include "metrics/node_use.h"

namespace keelson::metrics {

/// To be written with the time of the reading (exposition.h).
void collect_resource(const NodeUse& node, Stats& stats);

}  // namespace keelson::metrics
