// SPDX-License-Identifier: Apache-2.0
// How a machine's CPUs lie: threads of cores, cores below caches, sockets and NUMA nodes. The kubelet's model
// (pkg/kubelet/cm/cpumanager/topology), so that the same CPUs are taken.
#pragma once

#include <map>
#include <string>

#include "common/cpu_set.h"
#include "common/result.h"

namespace keelson::cpus {

/// Where one CPU (a thread of a core) is.
struct CpuPlace {
  int numa = 0;
  int socket = 0;
  int core = 0;    ///< The lowest number of its threads, so that no two cores of a machine have the same.
  int uncore = 0;  ///< The last-level cache, where a NUMA node has several of them; else its socket.
  bool operator==(const CpuPlace&) const = default;
};

/// Which of a place's numbers is meant: &CpuPlace::socket ...
using Level = int CpuPlace::*;

/// CPUs with their places, by number. A value; pure.
class Topology {
 public:
  Topology() = default;
  explicit Topology(std::map<int, CpuPlace> places) : places_(std::move(places)) {}

  const std::map<int, CpuPlace>& places() const { return places_; }
  CpuSet cpus() const;
  /// The part of it that is these CPUs.
  Topology only(const CpuSet& cpus) const;

  /// The numbers of all sockets, cores ...
  CpuSet ids(Level level) const;
  /// Of those with CPUs in number `id` of `outer`: all cores of one socket ...
  CpuSet ids_in(Level level, Level outer, int id) const;
  CpuSet cpus_in(Level level, int id) const;
  CpuSet cpus_in(Level level, const CpuSet& ids) const;

  /// How many CPUs one of them has on an average, rounded down; 0 of none.
  int cpus_per(Level level) const;
  int cpus_per_core() const { return cpus_per(&CpuPlace::core); }

  /// All of these CPUs have one uncore cache, or there are less than two.
  bool aligned_at_uncore(const CpuSet& cpus) const;

 private:
  std::map<int, CpuPlace> places_;
};

/// The CPUs that are online, by /sys/devices/system below `root` ("" is the machine itself). Where the kernel tells no
/// NUMA nodes there is one, 0; where it tells no caches, the socket stands for them. Kind::not_found and others: it
/// cannot be told which CPUs there are.
Result<Topology> read_topology(const std::string& root);

}  // namespace keelson::cpus
