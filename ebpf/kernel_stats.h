// SPDX-License-Identifier: Apache-2.0
// The kernel's side of services in numbers: how full tables are, what they weigh, and what became of packets.
#pragma once

#include "common/result.h"
#include "common/stats.h"
#include "ebpf/programs.h"
#include "ebpf/tables.h"

namespace keelson::ebpf {

/// keelson_network_table_rows_used|max{table}, keelson_network_map_bytes{map}, keelson_network_connection_rows_used|max
/// {ip_family} (used: told from a sample of 1,024 rows), keelson_network_drops_total|rejects_total{reason}, and the
/// counts of bpf/counters.h, a metric each. Costs some 600 system calls. An error leaves out what could not be read.
Result<> collect_kernel(const Programs& programs, const Tables& tables, Stats& stats);

}  // namespace keelson::ebpf
