// SPDX-License-Identifier: Apache-2.0
// How full the volumes of claims are, as their file systems tell (kubelet_volume_stats_*).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/loop.h"
#include "common/stats.h"
#include "metrics/node_use.h"

namespace keelson::agent {

/// A file system may be on another machine that does not answer. So they are asked on a thread of their own, one after
/// the other and each minute at most (volumeStatsAggPeriod), and nobody waits, at the end neither: what is known is
/// what was told last. One that never answers keeps the others from being asked again. Belongs to a loop.
class ClaimUsage {
 public:
  explicit ClaimUsage(const Clock& clock);

  /// Of these; a new one is asked about now. What is asked about no more is forgotten.
  void look(std::vector<std::string> paths);

  struct Told {
    WallTime at{};
    metrics::DiskUse disk;
  };
  /// None: it has not answered yet.
  std::optional<Told> find(const std::string& path) const;

 private:
  struct Board;
  const Clock& clock_;
  std::shared_ptr<Board> board_;
  SteadyTime looked_at_{};
};

/// `uses`: of pods, as NodeUse has them. Each claim once, however many pods have it.
void collect_claims(const std::vector<metrics::PodUse>& uses, Stats& stats);

}  // namespace keelson::agent
