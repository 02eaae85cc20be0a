// SPDX-License-Identifier: Apache-2.0
// CPUs that are taken one after the other, until there are enough. Of assignment.h.
#pragma once

#include <vector>

#include "agent/cpus/assignment.h"

namespace keelson::cpus {

/// Pure.
class Taking {
 public:
  Taking(const Topology& machine, const CpuSet& available, int count, Threads threads);

  int needed() const { return needed_; }
  bool done() const { return needed_ < 1; }
  /// There are not enough left.
  bool hopeless() const { return needed_ > static_cast<int>(free_.places().size()); }
  const CpuSet& taken() const { return taken_; }
  const Topology& free() const { return free_; }

  /// Nodes and sockets that have something free, those of which each is part of the other's in its order; the fullest
  /// first, then the lowest number.
  std::vector<int> numa_nodes() const;

  void take(const CpuSet& cpus);
  void whole_nodes_and_sockets();
  void by_uncore_cache();
  void whole_cores();
  void threads();

 private:
  std::vector<int> sorted(CpuSet ids, Level level) const;
  std::vector<int> sockets() const;
  std::vector<int> cores() const;
  std::vector<int> uncore_caches() const;
  void whole(Level level, const std::vector<int>& ids);
  void part_of_uncore(int id);

  const Topology& machine_;
  Topology free_;
  int needed_;
  const Threads order_;
  const bool numa_above_;  // a NUMA node has one socket or more, and not the other way round
  CpuSet taken_;
};

}  // namespace keelson::cpus
