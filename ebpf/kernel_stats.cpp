// SPDX-License-Identifier: Apache-2.0
#include "ebpf/kernel_stats.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <time.h>

#include <algorithm>
#include <sstream>

#include "common/fd.h"
#include "ebpf/bpf/abi.h"

namespace keelson::ebpf {
namespace {

constexpr uint32_t kSampledBuckets = 256;
constexpr const char* kMaps[] = {"frontends", "services",     "slots",        "backends",  "source_ranges",
                                 "affinity",  "connections4", "connections6", "fragments", "links",
                                 "counters",  "sockets",      "peers",        "config",    "events"};

double number(uint64_t value) {
  return static_cast<double>(value);
}

/// What the kernel says a map takes.
Result<uint64_t> map_bytes(int fd) {
  KEELSON_TRY(auto text, read_file(fmt::format("/proc/self/fdinfo/{}", fd)));
  std::istringstream lines(text);
  for (std::string word; lines >> word;) {
    uint64_t bytes = 0;
    if (word == "memlock:" && lines >> bytes) {
      return bytes;
    }
  }
  return fail(Kind::internal, "/proc/self/fdinfo/{}: no memlock", fd);
}

Result<> collect_tables(const Programs& programs, const Tables& tables, Stats& stats) {
  for (const auto& table : tables.usage()) {
    StatLabels label = {{"table", table.name}};
    stats.gauge("keelson_network_table_rows_used", "Rows of a table that are in use.", number(table.used), label);
    if (table.of > 0) {
      stats.gauge("keelson_network_table_rows_max", "Rows that a table has.", number(table.of), label);
    }
  }
  for (const char* name : kMaps) {
    if (int fd = programs.map(name); fd >= 0) {
      KEELSON_TRY(auto bytes, map_bytes(fd));
      stats.gauge("keelson_network_map_bytes", "Memory of a BPF map in bytes.", number(bytes), {{"map", name}});
    }
  }
  return {};
}

Result<kl_config> read_config(const Programs& programs) {
  kl_config config{};
  uint32_t row = 0;
  if (bpf_map_lookup_elem(programs.map("config"), &row, &config) != 0) {
    return fail_errno(errno, "read the configuration map");
  }
  return config;
}

/// kl_time now.
uint32_t time_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  auto ns = static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
  return static_cast<uint32_t>(ns >> KL_TIME_SHIFT);
}

/// Flows are spread over the buckets by a hash, so that any of them are a fair sample.
template <class Bucket>
Result<> collect_connections(const Programs& programs, const char* map, const char* family, const kl_config& config,
                             Stats& stats) {
  const int fd = programs.map(map);
  bpf_map_info info{};
  uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) {
    return fail_errno(errno, "read map {}", map);
  }
  const uint32_t sampled = std::min(kSampledBuckets, info.max_entries);
  const uint32_t now = time_now();
  uint64_t live = 0;
  Bucket bucket;
  for (uint32_t i = 0; i < sampled; i++) {
    if (bpf_map_lookup_elem_flags(fd, &i, &bucket, BPF_F_LOCK) != 0) {
      return fail_errno(errno, "read map {}", map);
    }
    for (int way = 0; way < KL_CT_WAYS; way++) {
      const auto& row = bucket.row[way];
      const uint32_t age = now - row.rest.seen;
      live += bucket.tag[way] != 0 && age < config.timeout[row.protocol == IPPROTO_TCP][row.state & 3];
    }
  }
  const uint64_t rows = uint64_t{info.max_entries} * KL_CT_WAYS;
  StatLabels label = {{"ip_family", family}};
  stats.gauge("keelson_network_connection_rows_used",
              "Rows of the connection table that hold a live flow (two for each), told from a sample.",
              number(live * rows / (uint64_t{sampled} * KL_CT_WAYS)), label);
  stats.gauge("keelson_network_connection_rows_max", "Rows that the connection table has.", number(rows), label);
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
  KEELSON_TRY(const auto config, read_config(programs));
  KEELSON_DO(collect_connections<kl_ct4_bucket>(programs, "connections4", "IPv4", config, stats));
  return collect_connections<kl_ct6_bucket>(programs, "connections6", "IPv6", config, stats);
}

}  // namespace keelson::ebpf
