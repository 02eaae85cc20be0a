// SPDX-License-Identifier: Apache-2.0
// cpuManagerPolicy: static. Containers of Guaranteed pods that ask for whole CPUs have these for themselves; all others
// share the rest. The kubelet's rules (pkg/kubelet/cm/cpumanager/policy_static.go). No I/O.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/config/allotments.h"
#include "agent/cpus/policy_options.h"
#include "agent/cpus/state.h"
#include "agent/cpus/topology.h"
#include "common/stats.h"
#include "kube/pod.h"

namespace keelson::cpus {

/// How many CPUs the container is to have for itself; 0: it shares.
int own_cpus_wanted(const kube::Pod& pod, const kube::Container& container);

/// What it knows of the machine stays; the state is its caller's. One thread at a time.
class StaticPolicy {
 public:
  /// `reserved`: these CPUs are for the system; empty: `reserved_count` of them are, the first by the machine's order.
  /// Kind::invalid, in the kubelet's words.
  static Result<StaticPolicy> make(Topology machine, StaticOptions options, CpuSet reserved, int reserved_count);

  const CpuSet& reserved() const { return reserved_; }
  /// What containers can have for themselves, whoever has it now.
  CpuSet allocatable() const;
  /// Where nobody has any for itself.
  CpuState fresh() const;

  /// Has the state fit the machine and the reservation: what was given and still can be stays, and all the rest is
  /// shared. Answers what did not fit, in the words with which a kubelet does not start.
  std::vector<std::string> mend(CpuState& state) const;

  /// Gives the containers of the pod what they want and have not; the state is changed for all of them, or not at all.
  std::optional<agent::AllotmentRefusal> allocate(CpuState& state, const kube::Pod& pod);
  /// Gives one container these CPUs, if they are free. False: they are not.
  bool give(CpuState& state, const std::string& uid, const std::string& container, const CpuSet& cpus) const;
  void release(CpuState& state, const std::string& uid) const;

  /// kubelet_cpu_manager_*, kubelet_container_aligned_compute_resources_*.
  void collect(const CpuState& state, Stats& stats) const;
  /// What a node with the policy none tells of them.
  static void collect_none(Stats& stats);

 private:
  struct Asked;
  StaticPolicy(Topology machine, StaticOptions options) : machine_(std::move(machine)), options_(options) {}

  Result<CpuSet> take(const CpuSet& available, int count) const;
  std::optional<agent::AllotmentRefusal> allocate_container(CpuState& state, const Asked& asked);
  std::optional<agent::AllotmentRefusal> check_cores(const CpuState& state, const CpuSet& reusable, int count) const;
  CpuSet pool() const;

  Topology machine_;
  StaticOptions options_;
  CpuSet reserved_;
  CpuSet reserved_cores_;  // with all threads
  uint64_t requests_ = 0;
  uint64_t errors_ = 0;
  uint64_t whole_cores_ = 0;
  uint64_t no_whole_cores_ = 0;
  uint64_t one_cache_ = 0;
  mutable CpuSet nodes_told_;  // their numbers stay told when nobody has any of theirs
};

}  // namespace keelson::cpus
