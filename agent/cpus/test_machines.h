// SPDX-License-Identifier: Apache-2.0
// Machines that the kubelet's own tests know, for the same questions with the same answers.
#pragma once

#include <functional>

#include "agent/cpus/topology.h"

namespace keelson::cpus {

inline Topology machine(int cpus, const std::function<CpuPlace(int)>& place) {
  std::map<int, CpuPlace> places;
  for (int cpu = 0; cpu < cpus; ++cpu) {
    places[cpu] = place(cpu);
  }
  return Topology(std::move(places));
}

/// 4 cores of two threads each.
inline Topology single_socket_ht() {
  return machine(8, [](int cpu) { return CpuPlace{.core = cpu % 4}; });
}
/// 3 cores of two threads on each socket; CPUs alternate.
inline Topology dual_socket_ht() {
  return machine(12, [](int cpu) { return CpuPlace{.numa = cpu % 2, .socket = cpu % 2, .core = cpu % 6}; });
}
/// 4 cores on each socket.
inline Topology dual_socket_no_ht() {
  return machine(8, [](int cpu) { return CpuPlace{.numa = cpu / 4, .socket = cpu / 4, .core = cpu}; });
}
/// 2 sockets of two NUMA nodes of 10 cores of two threads.
inline Topology dual_socket_multi_numa_ht() {
  return machine(80,
                 [](int cpu) { return CpuPlace{.numa = cpu % 40 / 10, .socket = cpu % 40 / 20, .core = cpu % 40}; });
}
/// 2 sockets of four NUMA nodes of 16 cores of two threads.
inline Topology dual_socket_multi_numa_ht_large() {
  return machine(256,
                 [](int cpu) { return CpuPlace{.numa = cpu % 128 / 16, .socket = cpu % 128 / 64, .core = cpu % 128}; });
}
/// 8 cores of one thread, then 8 of two.
inline Topology unlike_cores() {
  return machine(24, [](int cpu) { return CpuPlace{.core = cpu < 16 ? cpu : cpu - 8}; });
}
/// 16 cores, of which four have a cache together.
inline Topology uncore_no_smt() {
  return machine(16, [](int cpu) { return CpuPlace{.core = cpu, .uncore = cpu / 4}; });
}
/// The same on two sockets, and on two NUMA nodes.
inline Topology uncore_dual_socket_no_smt() {
  return machine(16, [](int cpu) { return CpuPlace{.socket = cpu / 8, .core = cpu, .uncore = cpu / 4}; });
}
inline Topology uncore_multi_numa() {
  return machine(16, [](int cpu) { return CpuPlace{.numa = cpu / 8, .core = cpu, .uncore = cpu / 4}; });
}
/// 8 cores of two threads, of which four have a cache together.
inline Topology uncore_smt() {
  return machine(16, [](int cpu) { return CpuPlace{.core = cpu % 8, .uncore = cpu % 8 / 4}; });
}

}  // namespace keelson::cpus
