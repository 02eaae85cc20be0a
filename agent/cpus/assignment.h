// SPDX-License-Identifier: Apache-2.0
// Which of a machine's free CPUs are taken for somebody who wants some: the kubelet's choice
// (pkg/kubelet/cm/cpumanager/cpu_assignment.go). Pure.
#pragma once

#include "agent/cpus/topology.h"
#include "common/cpu_set.h"
#include "common/result.h"

namespace keelson::cpus {

/// Which threads come first where no whole core is taken.
enum class Threads {
  packed,  ///< Those of one core, before another core is begun.
  spread,  ///< One of each core (distribute-cpus-across-cores): the lowest numbers of a socket.
};
enum class Caches { any, preferred };  ///< preferred: as few uncore caches as can be (prefer-align-cpus-by-uncorecache)

/// Whole NUMA nodes and sockets first, then whole cores, then threads; the fullest that will do, and of equally full
/// ones the lowest numbers. Kind::exhausted, in the kubelet's words: there are not so many.
Result<CpuSet> take_packed(const Topology& machine, const CpuSet& available, int count, Threads threads, Caches caches);

/// In equal parts from as few NUMA nodes as allow it (KEP-2902), by groups of so many CPUs: those of a core, so that
/// cores stay whole, or 1. Where there are no equal parts, or `count` is no multiple of the group: as take_packed().
Result<CpuSet> take_distributed(const Topology& machine, const CpuSet& available, int count, int group,
                                Threads threads);

}  // namespace keelson::cpus
