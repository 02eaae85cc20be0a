// SPDX-License-Identifier: Apache-2.0
// How pods start here, counted: kubelet_pod_start_duration_seconds and its kin.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "common/clock.h"
#include "common/stats.h"
#include "kube/pod.h"

namespace keelson::agent {

/// Belongs to the agent's thread.
class PodCounters {
 public:
  explicit PodCounters(const Clock& clock);

  /// Each change of a pod's status (Agent::on_status). A pod that runs when it is first seen was adopted, and has
  /// started earlier.
  void changed(const kube::Pod& pod, bool gone);
  void collect(Stats& stats) const;

 private:
  struct Seen {
    SteadyTime first{};
    bool running = false;
    std::map<std::string, int32_t> restarts;  // by container
  };
  void count_containers(const kube::Pod& pod, Seen& seen);

  const Clock& clock_;
  std::map<std::string, Seen> seen_;  // by uid
  Histogram start_;
  uint64_t started_pods_ = 0;
  uint64_t started_containers_ = 0;
};

}  // namespace keelson::agent
