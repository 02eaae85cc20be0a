// SPDX-License-Identifier: Apache-2.0
// cpuManagerPolicyOptions of the kubelet 1.34 (pkg/kubelet/cm/cpumanager/policy_options.go). Pure.
#pragma once

#include <map>
#include <string>

#include "agent/cpus/topology.h"
#include "common/result.h"

namespace keelson::cpus {

/// Feature gates, with the kubelet's defaults.
struct OptionGates {
  bool alpha = false;  ///< CPUManagerPolicyAlphaOptions
  bool beta = true;    ///< CPUManagerPolicyBetaOptions
};

/// What the policy static is to heed.
struct StaticOptions {
  bool full_cores = false;    ///< full-pcpus-only: cores are given whole, or not at all.
  bool across_numa = false;   ///< distribute-cpus-across-numa
  bool by_socket = false;     ///< align-by-socket: means something to a topology manager, which there is not here.
  bool across_cores = false;  ///< distribute-cpus-across-cores
  bool strict_reservation = false;  ///< strict-cpu-reservation: nobody but the system runs on reserved CPUs.
  bool by_uncore = false;           ///< prefer-align-cpus-by-uncorecache
  bool operator==(const StaticOptions&) const = default;
};

/// Kind::invalid, in the kubelet's words: no such option, none without its gate, no truth value, or two that exclude
/// each other.
Result<StaticOptions> parse_static_options(const std::map<std::string, std::string>& options, OptionGates gates);

/// Whether these options mean something on this machine. Kind::invalid, in the kubelet's words.
Result<> check_machine(const StaticOptions& options, const Topology& machine);

}  // namespace keelson::cpus
