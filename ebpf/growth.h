// SPDX-License-Identifier: Apache-2.0
// How large maps should be: as large as what they hold needs, and together within a budget.
//
// Maps begin small, and the kernel cannot make one larger. So larger ones are made beside them, and take their place
// while packets go on (Programs::grow()). When the budget is used up, tables that only the daemon writes refuse what
// does not fit, and the connection tables forget the oldest flows that are not open.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/result.h"
#include "common/stats.h"
#include "ebpf/programs.h"
#include "ebpf/tables.h"

namespace keelson::ebpf {

struct MapBudget {
  uint64_t bytes = uint64_t{256} << 20;  ///< Of all maps.
  uint32_t connection_rows = 1 << 21;    ///< The most that the connection table of a family grows to.
};

/// What the maps that grow take, all rows in use.
uint64_t bytes_of(const ProgramSizes& sizes);

/// Rows that a connection table of `rows`, `live` of which are in use, is to have. A flow has two buckets: from three
/// quarters on some flow finds both full, so there are twice as many from five eighths on.
uint64_t connection_rows(uint64_t live, uint64_t rows);

struct GrowthPlan {
  ProgramSizes sizes;  ///< None smaller than it was.
  /// By map: rows that were wanted, and that the budget has no room for.
  std::map<std::string, uint64_t> refused;
};
/// `wanted`: rows that must be there, or that would be well to have. A map that grows gets twice its rows at least, or
/// what is wanted where the budget has no room for more. `other_bytes`: of maps that do not grow. Tables of services
/// come before those of connections.
GrowthPlan plan_growth(const ProgramSizes& have, const ProgramSizes& wanted, uint64_t other_bytes,
                       const MapBudget& budget);

/// Keeps maps large enough. One thread at a time; `programs` and `tables` outlive it, and nobody else makes them grow.
class MapGrowth {
 public:
  MapGrowth(Programs& programs, Tables& tables, const MapBudget& budget)
      : programs_(programs), tables_(tables), budget_(budget) {}

  /// Maps with room for so many rows, at once; takes as long as a load where they have to grow. Kind::exhausted: the
  /// budget has no room for all; says which map, how many rows, and what raises it. What fits has been made.
  Result<> make_room(const TableRows& wanted);
  /// To be asked every second or so: whether something is nearly full, and may grow. Then the Grower is to be prepared,
  /// on another thread if the caller likes, and given to finish().
  Result<std::optional<Grower>> begin();
  Result<> finish(Grower prepared);

  /// What all maps take now, by the kernel's count.
  Result<uint64_t> bytes() const;
  const MapBudget& budget() const { return budget_; }
  uint64_t growths() const { return growths_; }
  /// What the budget has no room for, by map: rows. Empty: nothing is wanting.
  const std::map<std::string, uint64_t>& refused() const { return refused_; }
  /// keelson_network_map_budget_bytes, keelson_network_map_growths_total, keelson_network_map_rows_refused{map}.
  void collect(Stats& stats) const;

 private:
  Result<GrowthPlan> plan(const ProgramSizes& wanted);
  ProgramSizes wanted_by_tables(const TableRows& rows) const;
  Result<> add_connections(ProgramSizes& wanted);

  Programs& programs_;
  Tables& tables_;
  MapBudget budget_;
  uint64_t evicted_ = 0;  // at the last look
  uint64_t growths_ = 0;
  std::map<std::string, uint64_t> refused_;
};

}  // namespace keelson::ebpf
