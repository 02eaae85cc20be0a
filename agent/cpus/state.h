// SPDX-License-Identifier: Apache-2.0
// Who has which CPUs for itself, and its file: the kubelet's checkpoint <root>/cpu_manager_state
// (pkg/kubelet/cm/cpumanager/state), to the letter of its checksum, so that a kubelet and this agent can take a node
// over from each other.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/cpu_set.h"
#include "common/result.h"

namespace keelson::cpus {

/// By pods' uids, and their containers' names.
using Assignments = std::map<std::string, std::map<std::string, CpuSet>>;

struct CpuState {
  std::string policy;  ///< "none" or "static"
  CpuSet shared;       ///< The pool of all who have none for themselves; with the policy none it is empty.
  Assignments own;
  bool operator==(const CpuState&) const = default;
};

/// One line of JSON, with its checksum.
std::string format_state(const CpuState& state);
/// Kind::invalid says what is wrong: no such JSON, a checksum of something else, no list of CPUs. A checksum of 0 is
/// not looked at, as the kubelet does not.
Result<CpuState> parse_state(const std::string& text);

/// nullopt: there is no such file. Kind::invalid as above.
Result<std::optional<CpuState>> load_state(const std::string& file);
/// On disk when it answers.
Result<> save_state(const std::string& file, const CpuState& state);

}  // namespace keelson::cpus
