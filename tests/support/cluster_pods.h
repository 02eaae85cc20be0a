// SPDX-License-Identifier: Apache-2.0
// Pods made and deleted at a real kube-apiserver, and when a watch sees what becomes of them.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/loop.h"
#include "common/task_group.h"
#include "kube/client/watch.h"

namespace keelson::testing {

using Moment = std::chrono::steady_clock::time_point;

/// When this happened, by a watch, but for the two requests, which are as they were sent.
struct PodTimes {
  Moment create_sent;
  std::optional<Moment> created, bound, ready;
  Moment delete_sent;
  std::optional<Moment> gone;
};

/// Milliseconds between two of these; 0 if one has not been.
double ms_between(std::optional<Moment> from, std::optional<Moment> to);

/// The administrator's client. Runs a loop of its own inside of its calls.
class ClusterPods {
 public:
  static Result<std::unique_ptr<ClusterPods>> connect(const std::string& kubeconfig);
  ~ClusterPods();
  ClusterPods(const ClusterPods&) = delete;
  ClusterPods& operator=(const ClusterPods&) = delete;

  /// Pods "<prefix>-0" and on with this spec (JSON), in the namespace "default", requested all at once. Returns once
  /// all are Ready. Kind::timeout after three minutes.
  Result<std::vector<PodTimes>> start(const std::string& spec, const std::string& prefix, int count);
  /// Deletes these, all at once, as kubectl does (with their own grace). Returns once the API has none of them.
  Result<std::vector<PodTimes>> remove(const std::string& prefix, int count);

 private:
  explicit ClusterPods(kube::ClusterAccess access);
  kube::WatchConsumer<kube::Pod> consumer();
  void seen(const kube::Pod& pod);
  Task<> send(kube::Request request);
  Result<> run_until(const std::function<bool()>& done, const std::string& what);

  Loop loop_;
  kube::Client client_;
  kube::Watch<kube::Pod> watch_;
  bool synced_ = false;
  std::optional<Error> failed_;
  std::map<std::string, PodTimes> times_;  // by name
  TaskGroup tasks_;
};

}  // namespace keelson::testing
