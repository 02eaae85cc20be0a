// SPDX-License-Identifier: Apache-2.0
// How long pods take to start here: kubelet_pod_start_duration_seconds.
#pragma once

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
  };

  const Clock& clock_;
  std::map<std::string, Seen> seen_;  // by uid
  Histogram start_;
};

}  // namespace keelson::agent
