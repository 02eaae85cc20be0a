// SPDX-License-Identifier: Apache-2.0
// What probes had decided of running instances, kept over an end of the agent: a restart of ours makes nobody unready.
//
// One small file for each instance, named by its id, in a folder that need not outlive a boot.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "agent/container_probes.h"
#include "common/result.h"

namespace keelson::agent {

/// Belongs to one loop. Files are of a few bytes, in a file system in memory, and written only on changes.
class ProbeRecord {
 public:
  /// Reads the folder, made if absent. An empty name: nothing outlives the object.
  explicit ProbeRecord(std::string folder);

  /// nullopt: of this instance nothing was kept.
  std::optional<ProbeState> find(const std::string& id) const;
  /// An error says which file; the state is known until our end all the same.
  Result<> keep(const std::string& id, ProbeState state);
  void forget(const std::string& id);

 private:
  std::string folder_;
  std::map<std::string, ProbeState> states_;
};

}  // namespace keelson::agent
