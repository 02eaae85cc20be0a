// SPDX-License-Identifier: Apache-2.0
// What the node says of its pods, brought to the API; and a pod's object taken away once nothing is left of the pod.
//
// For each pod there is what the API has and what we say; where these differ, a patch is sent. So a start of the agent
// that finds all as it was sends nothing, what others write over is written again, and however much happens while the
// API is away, one patch tells of it. One request a pod at a time, few at the same time; while the API is away one
// request every 1 to 2 s asks whether it is back, and what is due goes out as soon as it is. The steps of a pod that
// has not started yet, or that ends, wait half a second for what follows; all else goes out at once.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>

#include "agent/cluster/api_call.h"
#include "common/loop.h"
#include "common/stats.h"
#include "common/task_group.h"
#include "kube/pod.h"

namespace keelson::agent {

/// Belongs to the agent's loop; all calls there.
class StatusManager {
 public:
  /// `seed`: of the waits' jitter.
  StatusManager(Loop& loop, ApiCall call, uint64_t seed);

  /// The API has this pod so. An older version than one known is passed over. A mirror pod
  /// (kubernetes.io/config.mirror) stands for the pod of ours whose uid that annotation holds.
  void api_has(const kube::Pod& pod);
  /// The API no longer has the pod of this name; with `uid`, unless that is another one by now.
  void api_lost(const std::string& full_name, const std::string& uid = "");
  /// This is so on the node. `gone`: nothing is left of the pod here; if its deletion has begun, its object is deleted
  /// once its last status is there.
  void says(const kube::Pod& pod, bool gone);
  /// `back` is called when the API answers after it had not.
  void on_answer(std::function<void()> back) { back_ = std::move(back); }

  /// Whether something is due, or soon will be: a pod is on its way.
  bool has_news() const;
  /// Whether nothing is due.
  bool settled() const { return queue_.empty() && active_ == 0; }
  /// kubelet_pod_status_sync_duration_seconds: from a change on the node until the API has it.
  void collect(Stats& stats) const;
  Task<> close() { return tasks_.close(); }

 private:
  struct ApiSide {
    std::string uid;
    std::string mirror_of;  ///< The uid of our static pod; empty: it is no mirror.
    uint64_t version = 0;
    kube::PodStatus status;
    bool deleting = false;
    bool deleted = false;  ///< We have deleted it: what is left are others' finalizers.
    std::string untaken;   ///< What still was due of a patch that had succeeded: fields the server does not know.
  };
  struct OurSide {
    std::string uid;
    kube::PodStatus status;
    bool gone = false;
  };
  struct Entry {
    std::string ns;
    std::string name;
    std::optional<ApiSide> api;
    std::optional<OurSide> ours;
    std::optional<SteadyTime> changed;  ///< On the node, first, of what no request tells of yet.
    bool busy = false;
    bool queued = false;
    bool holding = false;  ///< Until more of its news have come, or for kHold.
    bool held = false;     ///< That is over.
    bool resting = false;  ///< After a refusal of just this pod's request.
    Duration wait{0};      ///< The last rest; zero after a success.
  };

  static kube::PodStatus status_to_tell(const Entry& entry);
  static std::optional<kube::Request> next_request(const Entry& entry);
  void look_at(const std::string& key);
  void pump();
  Task<> wake_at(Duration wait);
  Task<> look_again(std::string key, Duration wait);
  /// Whether what is to be said may wait for what follows soon: the steps of a pod that has not started yet, or of one
  /// that ends.
  static bool can_wait(const Entry& entry);
  Task<> hold(std::string key);
  /// One request about the object `uid`, and the status that a patch brings there.
  struct Sent {
    std::string uid;
    kube::PodStatus status;
    std::string body;
    bool deletes = false;
    std::optional<SteadyTime> changed;  ///< As Entry::changed.
  };
  Task<> serve(std::string key, Sent sent, kube::Request request);
  void succeeded(const std::string& key, const Sent& sent, const std::string& body);
  void failed(const std::string& key, const Sent& sent, const Error& error);
  Duration jittered(Duration wait);

  Loop& loop_;
  const ApiCall call_;
  std::function<void()> back_ = [] {};
  std::mt19937_64 random_;
  Histogram waits_{{0.010, 0.050, 0.100, 0.500, 1, 5, 10, 20, 30, 45, 60}};
  std::map<std::string, Entry> entries_;  // by "namespace/name"
  std::deque<std::string> queue_;
  size_t active_ = 0;
  bool away_ = false;
  bool waiting_ = false;  // away, and the next try is not due
  TaskGroup tasks_;
};

}  // namespace keelson::agent
