// SPDX-License-Identifier: Apache-2.0
#include "ebpf/kernel_stats.h"

#include <fmt/format.h>

#include "ebpf/bpf/abi.h"
#include "ebpf/map_memory.h"

namespace keelson::ebpf {
namespace {

double number(uint64_t value) {
  return static_cast<double>(value);
}

Result<> collect_tables(const Programs& programs, const Tables& tables, Stats& stats) {
  for (const auto& table : tables.usage()) {
    StatLabels label = {{"table", table.name}};
    stats.gauge("keelson_network_table_rows_used", "Rows of a table that are in use.", number(table.used), label);
    stats.gauge("keelson_network_table_rows_max", "Rows that a table has.", number(table.of), label);
  }
  for (const auto& [name, fd] : programs.maps()) {
    KEELSON_TRY(auto bytes, map_bytes(fd));
    stats.gauge("keelson_network_map_bytes", "Memory of a BPF map in bytes.", number(bytes), {{"map", name}});
  }
  return {};
}

Result<> collect_connections(const Programs& programs, dataplane::Family family, Stats& stats) {
  KEELSON_TRY(const auto load, connection_load(programs, family));
  StatLabels label = {{"ip_family", family == dataplane::Family::ipv4 ? "IPv4" : "IPv6"}};
  stats.gauge("keelson_network_connection_rows_used",
              "Rows of the connection table that hold a live flow (two for each), told from a sample.",
              number(load.live), label);
  stats.gauge("keelson_network_connection_rows_max", "Rows that the connection table has.", number(load.rows), label);
  return {};
}

Result<> collect_counters(const Programs& programs, Stats& stats) {
  KEELSON_TRY(const auto counters, programs.counters());
  auto add = [&](kl_counter counter, kl_counter_kind kind, const char* label, const char* text) {
    const double value = number(counters[counter]);
    if (kind == KL_DROPS) {
      stats.counter("keelson_network_drops_total", "Packets that services dropped, by reason.", value,
                    {{"reason", label}});
    } else if (kind == KL_REJECTS) {
      stats.counter("keelson_network_rejects_total", "Packets and connect() calls that got an error for an answer.",
                    value, {{"reason", label}});
    } else {
      stats.counter(fmt::format("keelson_network_{}_total", label), fmt::format("How often {}.", text), value);
    }
  };
#define KEELSON_ADD(name, kind, label, text) add(name, kind, label, text);
  KL_COUNTER_LIST(KEELSON_ADD)
#undef KEELSON_ADD
  return {};
}

}  // namespace

Result<> collect_kernel(const Programs& programs, const Tables& tables, Stats& stats) {
  KEELSON_DO(collect_counters(programs, stats));
  KEELSON_DO(collect_tables(programs, tables, stats));
  KEELSON_DO(collect_connections(programs, dataplane::Family::ipv4, stats));
  return collect_connections(programs, dataplane::Family::ipv6, stats);
}

}  // namespace keelson::ebpf
