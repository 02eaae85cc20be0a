// SPDX-License-Identifier: Apache-2.0
// How the pods' workers do, counted under the kubelet's names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/stats.h"

namespace keelson::agent {

/// The kubelet's buckets of how long pods take to start, in seconds.
std::vector<double> pod_start_bounds();

/// Belongs to the agent's loop. Help texts and buckets are the kubelet's.
class WorkerStats {
 public:
  /// A worker has done what it was asked for: "create", "update", "sync" (it looked by itself, or for news of the
  /// runtime), "kill", "terminated". `time` since it was asked.
  void pass(std::string_view operation, Duration time);
  /// A pod's worker begins; `time` since the pod was first said to be wanted.
  void worker_started(Duration time);
  /// A new pod, with so many containers.
  void new_pod(size_t containers) { containers_.observe(static_cast<double>(containers)); }
  void sandbox_tried() { ++pods_; }
  void sandbox_failed() { ++pod_errors_; }
  /// The same of a pod with a user namespace; it has failed, too, when a first container of it does not start.
  void own_users_tried() { ++own_users_; }
  void own_users_failed() { ++own_users_errors_; }
  /// `type`: "container", "init_container" (sidecars, too), "ephemeral_container"; `code`: the reason in its status.
  void container_tried(const std::string& type) { tried_.add({{"container_type", type}}); }
  void container_failed(const std::string& type, const std::string& code) {
    failed_.add({{"code", code}, {"container_type", type}});
  }
  /// An image of so many bytes was pulled; 0: nobody knows how many.
  void pulled(uint64_t size, Duration time);
  /// A container with so many image volumes was made, or could not be because of them.
  void image_volumes(size_t count, bool failed) {
    volumes_ += count;
    (failed ? failed_volumes_ : mounted_volumes_) += count;
  }
  /// CPU and memory of a container were changed while it runs, or were not.
  void resized(bool success, Duration time);
  /// A hook by HTTPS was answered by HTTP, and then worked by HTTP.
  void hook_fell_back() { ++hook_fallbacks_; }
  /// A hook's pause ended before its time.
  void pause_cut_short() { ++cut_pauses_; }
  /// The runtime has a pod that nobody wants.
  void orphan_found() { ++orphans_; }
  /// A look for pods that nobody wants has found so many, with those that an earlier one had found: these could not be
  /// removed meanwhile.
  void orphans_sought(size_t found, size_t left) {
    sought_ = found;
    left_ = left;
  }
  /// A pod came back under the uid that it had before it was removed.
  void restarted(bool is_static) { restarted_.add({{"static", is_static ? "true" : ""}}); }

  void collect(Stats& stats) const;

 private:
  HistogramVec passes_{default_bounds()};
  Histogram worker_starts_{default_bounds()};
  Histogram containers_{exponential_bounds(1, 2, 5)};
  uint64_t pods_ = 0;
  uint64_t pod_errors_ = 0;
  uint64_t own_users_ = 0;
  uint64_t own_users_errors_ = 0;
  CounterVec tried_;
  CounterVec failed_;
  HistogramVec pulls_{{1, 5, 10, 20, 30, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600}};
  HistogramVec resizes_{{10, 50, 100, 500, 1000, 2000, 5000, 10000, 20000, 30000, 60000, 120000, 300000, 600000}};
  uint64_t volumes_ = 0;  // that are images
  uint64_t mounted_volumes_ = 0;
  uint64_t failed_volumes_ = 0;
  uint64_t hook_fallbacks_ = 0;
  uint64_t cut_pauses_ = 0;
  uint64_t orphans_ = 0;
  size_t sought_ = 0;  // orphans, by the last look
  size_t left_ = 0;    // of which an earlier look had known
  CounterVec restarted_;
};

}  // namespace keelson::agent
