// SPDX-License-Identifier: Apache-2.0
// One pod's worker: observes, asks plan(), carries out the steps, says the status; again and again until the pod is
// gone.
//
// A worker is one coroutine on the agent's loop. It waits for its own runtime calls alone, so a hung call hurts no
// other pod. It holds no truth: killed at any point and made anew, it goes on from what the runtime has.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/container_probes.h"
#include "agent/event_recorder.h"
#include "agent/network_look.h"
#include "agent/plan.h"
#include "agent/pod_runtime.h"
#include "agent/pod_status.h"
#include "agent/probe_record.h"
#include "agent/timeline.h"
#include "agent/worker_stats.h"
#include "common/loop.h"
#include "kube/pod.h"

namespace keelson::agent {

/// What all workers share. Outlives them.
struct WorkerShared {
  Loop& loop;
  PodRuntime& runtime;
  EventRecorder& events;
  ProbeRecord& probed;
  ContainerProbes* probes = nullptr;  ///< nullptr: probes of a spec never succeed (a container without one is ready).
  LifecycleTimes times;
  StatusNode node;
  Duration resync = std::chrono::seconds(60);  ///< Looks at the runtime at least this often.
  WorkerStats stats = {};
  NetworkLook network{loop, runtime};
  std::function<void(const kube::Pod&)> status_changed = [](const kube::Pod&) {};
  /// Before containers are told to end: ends when services send the pod nothing more. `for_good`: the pod ends, else it
  /// comes back, by its status. May be empty. Gets a deadline.
  std::function<Task<>(kube::Pod, bool for_good)> leave_services;
};

class PodWorker {
 public:
  /// `pod` has its uid. Its status is what was said of it before: a final phase stays, and nothing is started; all else
  /// is looked at anew. `orphan`: no source has it; it is only to be removed.
  PodWorker(WorkerShared& shared, kube::Pod pod, bool orphan = false);
  ~PodWorker();
  PodWorker(const PodWorker&) = delete;
  PodWorker& operator=(const PodWorker&) = delete;

  /// Ends when the pod is gone, or with Kind::cancelled: then everything stays as it is.
  Task<> run();

  /// The wanted pod changed (same uid). Of its status, conditions of others and a final phase count. `objects`: what it
  /// refers to may have changed, so that what failed for want of it is tried at once.
  void update(kube::Pod pod, bool objects = true);
  /// The pod is no longer wanted; the first grace (seconds) counts instead of the spec's. A later, shorter one cuts a
  /// running kill short; a longer one is ignored.
  void remove(std::optional<int64_t> grace = std::nullopt);
  /// Ends the pod for a reason of the node's ("Evicted"), within `grace` seconds if that is less than its own; its
  /// objects stay until remove(). The first verdict counts.
  void fail_pod(Verdict verdict, std::optional<int64_t> grace = std::nullopt);
  /// Room is wanted: what is left of a pod that has ended goes. Its status stays as it is.
  void free_dead();
  /// Something may have changed in the runtime.
  void poke();

  /// The pod with its status as last said.
  const kube::Pod& pod() const;
  const Timeline& timeline() const;
  const ObservedPod& observed() const;
  bool removed() const;
  /// Its phase is final.
  bool has_ended() const;
  /// It has ended, or is about to, for a reason that stands.
  bool is_failed() const;
  bool is_orphan() const;
  /// How far it has come.
  Plan::Stage stage() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace keelson::agent
