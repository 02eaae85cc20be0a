// SPDX-License-Identifier: Apache-2.0
// assignment.h: taken from as few parts of the machine as can be.
#include "agent/cpus/assignment.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "agent/cpus/taking.h"

namespace keelson::cpus {

namespace {

constexpr Level kNuma = &CpuPlace::numa;
constexpr Level kSocket = &CpuPlace::socket;
constexpr Level kCore = &CpuPlace::core;
constexpr Level kUncore = &CpuPlace::uncore;

}  // namespace

Taking::Taking(const Topology& machine, const CpuSet& available, int count, Threads threads)
    : machine_(machine),
      free_(machine.only(available)),
      needed_(count),
      order_(threads),
      numa_above_(machine.ids(kSocket).size() >= machine.ids(kNuma).size()) {}

/// By how many free CPUs they have, ascending.
std::vector<int> Taking::sorted(CpuSet ids, Level level) const {
  std::map<int, int> counts;
  for (const auto& [cpu, place] : free_.places()) {
    ++counts[place.*level];
  }
  auto order = ids.numbers();
  std::ranges::sort(order, {}, [&](int id) { return std::pair(counts[id], id); });
  return order;
}

std::vector<int> Taking::numa_nodes() const {
  if (numa_above_) {
    return sorted(free_.ids(kNuma), kNuma);
  }
  std::vector<int> order;
  for (const int socket : sockets()) {
    std::ranges::copy(sorted(free_.ids_in(kNuma, kSocket, socket), kNuma), std::back_inserter(order));
  }
  return order;
}

std::vector<int> Taking::sockets() const {
  if (!numa_above_) {
    return sorted(free_.ids(kSocket), kSocket);
  }
  std::vector<int> order;
  for (const int numa : numa_nodes()) {
    std::ranges::copy(sorted(free_.ids_in(kSocket, kNuma, numa), kSocket), std::back_inserter(order));
  }
  return order;
}

std::vector<int> Taking::cores() const {
  std::vector<int> order;
  for (const int outer : numa_above_ ? sockets() : numa_nodes()) {
    const auto level = numa_above_ ? kSocket : kNuma;
    std::ranges::copy(sorted(free_.ids_in(kCore, level, outer), kCore), std::back_inserter(order));
  }
  return order;
}

std::vector<int> Taking::uncore_caches() const {
  std::vector<int> order;
  for (const int numa : numa_nodes()) {
    std::ranges::copy(sorted(free_.ids_in(kUncore, kNuma, numa), kUncore), std::back_inserter(order));
  }
  return order;
}

/// What is not free is not taken: on machines where a part lies in two others, it comes twice.
void Taking::take(const CpuSet& cpus) {
  const auto fresh = cpus & free_.cpus();
  taken_ = taken_ | fresh;
  free_ = free_.only(free_.cpus() - fresh);
  needed_ -= fresh.size();
}

/// Those of which all CPUs are free, and needed. The kubelet compares with what a core or socket has on an average,
/// by which it takes a CPU of somebody else's where cores are not alike.
void Taking::whole(Level level, const std::vector<int>& ids) {
  for (const int id : ids) {
    const auto all = machine_.cpus_in(level, id);
    if (needed_ >= all.size() && free_.cpus_in(level, id) == all) {
      take(all);
    }
  }
}

void Taking::whole_nodes_and_sockets() {
  for (const bool numa : {numa_above_, !numa_above_}) {
    if (!done()) {
      numa ? whole(kNuma, numa_nodes()) : whole(kSocket, sockets());
    }
  }
}

void Taking::whole_cores() {
  if (!done()) {
    whole(kCore, cores());
  }
}

/// If what is still needed fits below this cache: its lowest cores, and of the last one a thread if the number is odd.
void Taking::part_of_uncore(int id) {
  const int per_core = machine_.cpus_per_core();
  const auto wanted = static_cast<size_t>((needed_ + per_core - 1) / per_core);
  auto cores = free_.ids_in(kCore, kUncore, id).numbers();
  cores.resize(std::min(cores.size(), wanted));
  auto cpus = free_.cpus_in(kCore, CpuSet(cores)).numbers();
  if (needed_ % 2 != 0 && per_core > 1 && static_cast<int>(cpus.size()) > needed_) {
    cpus.pop_back();
  }
  if (static_cast<int>(cpus.size()) == needed_) {
    take(CpuSet(cpus));
  }
}

void Taking::by_uncore_cache() {
  const int per_cache = machine_.cpus_per(kUncore);
  for (const int id : uncore_caches()) {
    if (needed_ >= per_cache) {
      whole(kUncore, uncore_caches());
    }
    if (!done()) {
      part_of_uncore(id);
    }
    if (done()) {
      return;
    }
  }
}

void Taking::threads() {
  std::vector<int> order;
  const bool spread = order_ == Threads::spread;
  for (const int id : spread ? sockets() : cores()) {
    std::ranges::copy(free_.cpus_in(spread ? kSocket : kCore, id), std::back_inserter(order));
  }
  for (const int cpu : order) {
    if (done()) {
      return;
    }
    take(CpuSet({cpu}));
  }
}

Result<CpuSet> take_packed(const Topology& machine, const CpuSet& available, int count, Threads threads,
                           Caches caches) {
  Taking taking(machine, available, count, threads);
  if (taking.hopeless()) {
    return fail(Kind::exhausted, "not enough cpus available to satisfy request: requested={}, available={}", count,
                available.size());
  }
  taking.whole_nodes_and_sockets();
  if (!taking.done() && caches == Caches::preferred) {
    taking.by_uncore_cache();
  }
  if (!taking.done() && threads != Threads::spread) {
    taking.whole_cores();
  }
  taking.threads();
  if (!taking.done()) {
    return fail(Kind::exhausted, "failed to allocate cpus");
  }
  return taking.taken();
}

}  // namespace keelson::cpus
