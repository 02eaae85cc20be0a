// SPDX-License-Identifier: Apache-2.0
// The volumes of pods, and what is done with them, under the kubelet's names (pkg/kubelet/volumemanager/metrics,
// pkg/volume/util/metrics.go).
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "common/clock.h"
#include "common/result.h"
#include "common/stats.h"
#include "kube/pod.h"

namespace keelson::agent {

/// "kubernetes.io/empty-dir", "kubernetes.io/csi:<driver>". Empty: of a claim, whose volume says, or of a source that
/// this node does not know.
std::string volume_plugin(const kube::Volume& volume);

/// Thread-safe. A pod's volume is known by the pod's uid and the pod's name of it.
class VolumeStats {
 public:
  explicit VolumeStats(const Clock& clock = real_clock()) : clock_(clock) {}

  /// The pod is to have the volume, a `plugin`'s.
  void wanted(const std::string& uid, const std::string& volume, const std::string& plugin);
  /// It has it.
  void mounted(const std::string& uid, const std::string& volume);
  /// The pod is to have none any more; all that it had has gone.
  void unwanted(const std::string& uid);
  void gone(const std::string& uid);

  /// "volume_mount", "volume_unmount", or for block devices "map_volume", "unmap_volume" has ended, with an error or
  /// without. What was cancelled is not counted.
  void done(const std::string& plugin, const char* operation, Duration time, const Error* error);
  /// The same of `work`, which answers a Result.
  template <class F>
  auto timed(const std::string& plugin, const char* operation, F work) {
    const SteadyTime began = clock_.steady();
    auto outcome = work();
    done(plugin, operation, clock_.steady() - began, outcome ? nullptr : &outcome.error());
    return outcome;
  }

  /// volume_manager_total_volumes{plugin_name,state}; storage_operation_duration_seconds{volume_plugin,operation_name,
  /// status,migrated}.
  void collect(Stats& stats) const;

 private:
  struct Volume {
    std::string plugin;
    bool wanted = true;
    bool mounted = false;
  };

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, Volume> volumes_;
  HistogramVec operations_{{.1, .25, .5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600}};
};

}  // namespace keelson::agent
