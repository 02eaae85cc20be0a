// SPDX-License-Identifier: Apache-2.0
#include "ebpf/growth.h"

#include <algorithm>
#include <bit>

#include "common/log.h"
#include "ebpf/map_memory.h"

namespace keelson::ebpf {
namespace {

using dataplane::Family;

// A bucket of the kernel's hash is 16 bytes; a row of frontends then takes 84, of which slabs make 96.
constexpr uint64_t kFrontendBytes = 16 + 96;

/// A map that grows. Those that no service can do without come first.
struct Growing {
  const char* name;
  uint32_t ProgramSizes::* rows;
  uint64_t row_bytes;
  uint64_t most_rows;
  uint32_t ways;  ///< Rows of a bucket, of which there is a power of two. 0: any number of rows.
};
constexpr Growing kGrowing[] = {
    {"backends", &ProgramSizes::backends, sizeof(kl_backend), 1u << KL_BACKEND_ROW_BITS, 0},
    {"slots", &ProgramSizes::slots, 8, 1u << 31, 0},
    {"services", &ProgramSizes::services, sizeof(kl_service), 1u << 31, 0},
    {"frontends", &ProgramSizes::frontends, kFrontendBytes, 1u << 31, 1},
    {"connections4", &ProgramSizes::connections4, sizeof(kl_ct4_bucket) / KL_CT_WAYS, 1u << 31, KL_CT_WAYS},
    {"connections6", &ProgramSizes::connections6, sizeof(kl_ct6_bucket) / KL_CT_WAYS, 1u << 31, KL_CT_WAYS}};

bool is_of_connections(const Growing& map) {
  return map.name[0] == 'c';
}

double mib(uint64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

std::string text_of(const std::map<std::string, uint64_t>& refused, const ProgramSizes& have, const MapBudget& budget) {
  std::string text;
  for (const auto& map : kGrowing) {
    if (auto found = refused.find(map.name); found != refused.end()) {
      text += fmt::format("{}{} rows of {}, where {} are", text.empty() ? "" : "; ", found->second, map.name,
                          have.*map.rows);
    }
  }
  return fmt::format("no room for {}: maps may take {:.0f} MiB (--bpf-memory)", text, mib(budget.bytes));
}

uint32_t clamp(uint64_t rows) {
  return static_cast<uint32_t>(std::min<uint64_t>(rows, 1u << 31));
}

/// So many rows are to be had in good time: before a quarter is left.
uint32_t with_slack(uint64_t used, uint32_t have) {
  return used > have / 4 * 3 ? clamp(uint64_t{have} * 2) : have;
}

}  // namespace

uint64_t bytes_of(const ProgramSizes& sizes) {
  uint64_t bytes = 0;
  for (const auto& map : kGrowing) {
    bytes += map.row_bytes * (sizes.*map.rows);
  }
  return bytes;
}

uint64_t connection_rows(uint64_t live, uint64_t rows) {
  return live > rows / 8 * 5 ? rows * 2 : rows;
}

GrowthPlan plan_growth(const ProgramSizes& have, const ProgramSizes& wanted, uint64_t other_bytes,
                       const MapBudget& budget) {
  GrowthPlan plan{.sizes = have, .refused = {}};
  for (const auto& map : kGrowing) {
    const uint64_t rows = wanted.*map.rows;
    if (rows <= have.*map.rows) {
      continue;
    }
    const uint64_t ways = std::max(map.ways, 1u);
    const uint64_t most = is_of_connections(map) ? std::bit_floor(budget.connection_rows / ways) * ways : map.most_rows;
    auto fits = [&](uint64_t candidate) {
      auto next = plan.sizes;
      next.*map.rows = clamp(candidate);
      return candidate <= most && other_bytes + bytes_of(next) <= budget.bytes;
    };
    uint64_t candidate = std::bit_ceil((rows + ways - 1) / ways) * ways;
    if (is_of_connections(map)) {
      while (candidate > have.*map.rows && !fits(candidate)) {
        candidate /= 2;
      }
    } else if (!fits(candidate) && map.ways == 0) {
      candidate = rows;
    }
    if (candidate > have.*map.rows && fits(candidate)) {
      plan.sizes.*map.rows = clamp(candidate);
    } else if (!is_of_connections(map) || have.*map.rows < most) {
      plan.refused[map.name] = rows;
    }
  }
  return plan;
}

Result<uint64_t> MapGrowth::bytes() const {
  uint64_t sum = 0;
  for (const auto& [name, fd] : programs_.maps()) {
    KEELSON_TRY(auto bytes, map_bytes(fd));
    sum += bytes;
  }
  return sum;
}

Result<GrowthPlan> MapGrowth::plan(const ProgramSizes& wanted) {
  uint64_t others = 0;
  for (const auto& [name, fd] : programs_.maps()) {
    if (std::ranges::none_of(kGrowing, [&](const Growing& map) { return name == map.name; })) {
      KEELSON_TRY(auto bytes, map_bytes(fd));
      others += bytes;
    }
  }
  auto have = programs_.sizes();
  auto plan = plan_growth(have, wanted, others, budget_);
  if (!plan.refused.empty() && plan.refused != refused_) {
    log::warning("maps are nearly full: {}", text_of(plan.refused, have, budget_));
  }
  refused_ = plan.refused;
  return plan;
}

// Row 0 of services and of backends is nobody.
ProgramSizes MapGrowth::wanted_by_tables(const TableRows& rows) const {
  auto wanted = programs_.sizes();
  wanted.frontends = std::max(wanted.frontends, clamp(rows.frontends));
  wanted.services = std::max(wanted.services, clamp(rows.services + 1));
  wanted.slots = std::max(wanted.slots, clamp(rows.slots));
  wanted.backends = std::max(wanted.backends, clamp(rows.backends + 1));
  return wanted;
}

Result<> MapGrowth::make_room(const TableRows& rows) {
  auto wanted = wanted_by_tables(rows);
  if (wanted == programs_.sizes()) {
    return {};
  }
  KEELSON_TRY(auto plan, this->plan(wanted));
  if (plan.sizes != programs_.sizes()) {
    auto grower = programs_.grower(plan.sizes);
    KEELSON_DO(grower.prepare());
    KEELSON_DO(finish(std::move(grower)));
  }
  if (!plan.refused.empty()) {
    return fail(Kind::exhausted, "{}", text_of(plan.refused, programs_.sizes(), budget_));
  }
  return {};
}

// A table that had to forget flows does not show how many there were.
Result<> MapGrowth::add_connections(ProgramSizes& wanted) {
  KEELSON_TRY(auto counters, programs_.counters());
  bool evicts = counters[KL_FLOWS_EVICTED] > std::exchange(evicted_, counters[KL_FLOWS_EVICTED]);
  for (auto family : {Family::ipv4, Family::ipv6}) {
    KEELSON_TRY(auto load, connection_load(programs_, family));
    auto& rows = family == Family::ipv4 ? wanted.connections4 : wanted.connections6;
    if (const auto more = connection_rows(load.live, load.rows); more > load.rows) {
      rows = clamp(evicts ? more * 2 : more);
    }
  }
  return {};
}

Result<std::optional<Grower>> MapGrowth::begin() {
  const auto have = programs_.sizes();
  const auto rows = tables_.used();
  ProgramSizes wanted{.frontends = with_slack(rows.frontends, have.frontends),
                      .services = with_slack(rows.services, have.services),
                      .slots = with_slack(rows.slots, have.slots),
                      .backends = with_slack(rows.backends, have.backends),
                      .connections4 = have.connections4,
                      .connections6 = have.connections6};
  KEELSON_DO(add_connections(wanted));
  if (wanted == have) {
    refused_.clear();
    return std::nullopt;
  }
  KEELSON_TRY(auto plan, this->plan(wanted));
  if (plan.sizes == have) {
    return std::nullopt;
  }
  return programs_.grower(plan.sizes);
}

Result<> MapGrowth::finish(Grower prepared) {
  const auto before = programs_.sizes();
  auto grown = programs_.grow(std::move(prepared));
  KEELSON_DO(tables_.grow(programs_.table_maps()));
  KEELSON_DO(std::move(grown).context("larger maps"));
  growths_++;
  const auto now = programs_.sizes();
  std::string text;
  for (const auto& map : kGrowing) {
    if (now.*map.rows != before.*map.rows) {
      text += fmt::format("{} {} from {} to {}", text.empty() ? "" : ",", map.name, before.*map.rows, now.*map.rows);
    }
  }
  log::info("maps have grown:{} rows", text);
  return {};
}

void MapGrowth::collect(Stats& stats) const {
  auto number = [](uint64_t value) { return static_cast<double>(value); };
  stats.gauge("keelson_network_map_budget_bytes", "What all BPF maps may take together (bpfMemory).",
              number(budget_.bytes));
  stats.counter("keelson_network_map_growths_total", "How often maps were replaced by larger ones.", number(growths_));
  for (const auto& map : kGrowing) {
    auto refused = refused_.find(map.name);
    stats.gauge("keelson_network_map_rows_refused", "Rows wanted of a map that bpfMemory has no room for; 0: none.",
                refused == refused_.end() ? 0 : number(refused->second), {{"map", map.name}});
  }
}

}  // namespace keelson::ebpf
