// SPDX-License-Identifier: Apache-2.0
// What Prometheus' client libraries tell of every process: process_cpu_seconds_total, process_resident_memory_bytes ...
#pragma once

#include "common/result.h"
#include "common/stats.h"

namespace keelson::metrics {

/// Of this process. Reads /proc/self; an error names the file, and nothing is added then.
Result<> collect_process(Stats& stats);

}  // namespace keelson::metrics
