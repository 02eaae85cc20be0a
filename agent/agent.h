// SPDX-License-Identifier: Apache-2.0
// The agent: from the manifest folder to running pods, one worker each.
//
//   source --> Agent --> PodWorker (one a pod) --> PodRuntime --> CRI
//                ^            | status
//                +-- events --+--> pods(), EventRecorder, AdminApi
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/container_probes.h"
#include "agent/event_recorder.h"
#include "agent/plan.h"
#include "agent/pod_runtime.h"
#include "agent/pod_status.h"
#include "agent/timeline.h"
#include "common/loop.h"
#include "common/stats.h"
#include "kube/folder/manifest_source.h"
#include "kube/pod.h"

namespace keelson::agent {

struct AgentOptions {
  /// A folder or one file, and a URL; neither: no source (desired() is called by the owner).
  std::string manifest_dir;
  kube::ManifestUrl manifest_url = {};
  std::string node_name;
  /// Where the decisions of probes outlive us, /run/keelson/probes; empty: they do not. See probe_record.h.
  std::string probe_folder;
  StatusNode node;  ///< Addresses of the node, and the runtime's name.
  LifecycleTimes times;
  Duration resync = std::chrono::seconds(60);
  Duration orphan_period = std::chrono::seconds(30);  ///< Between looks for pods that nobody wants.
  /// Once the pods are told to end (stop(true)), how long to wait beyond their own graces.
  Duration stop_slack = std::chrono::seconds(15);
};

/// Belongs to one loop; all calls on its thread.
class Agent {
 public:
  /// `runtime` and `probes` (may be nullptr) outlive the agent.
  Agent(Loop& loop, AgentOptions options, PodRuntime& runtime, ContainerProbes* probes = nullptr);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  /// Runs until stop(). Running pods are adopted; pods that the runtime has and the source has not are
  /// removed once the source has told all it has (DesiredState::complete).
  Task<> run();
  /// Ends run(), and waits for that. With `remove_pods` every pod is ended within its grace and removed with all its
  /// traces first; otherwise all goes on without us. Kind::timeout names pods that are left.
  Task<> stop(bool remove_pods);

  /// What is wanted, all of it; called by the source, or by the owner where there is none. A pod with a deletion
  /// timestamp is ended within its deletion grace; its worker goes once nothing is left of it. One whose status has a
  /// final phase is not started. While the state is not complete, no pod is removed because it is missing.
  void desired(kube::DesiredState state);
  /// Called with each new state of the source, before pods are told.
  void on_objects(std::function<void(const kube::DesiredState&)> listener);
  /// Called after each change of a pod's status, and when a pod has gone. All listeners are told, for as long as the
  /// agent lives.
  void on_status(std::function<void(const kube::Pod&, bool gone)> listener);

  /// Before run(). A pod that is to end is given to it before its containers are told, and so is one of which a
  /// container is; see WorkerShared.
  void set_leave_services(std::function<Task<>(kube::Pod, bool for_good)> leave);
  /// Ends a pod for a reason of the node's, as PodWorker::fail_pod. False: it is not here, or has ended, or is about to
  /// for such a reason.
  bool fail_pod(const std::string& uid, Verdict verdict, std::optional<int64_t> grace);
  /// Until none of these pods (uids) runs any more: their phases are final, or they are not here. False: after `limit`,
  /// one still does.
  Task<bool> wait_ended(std::vector<std::string> uids, Duration limit);
  /// Room is wanted: of pods of the API that have ended, nothing but the status and the logs is kept. What manifests
  /// have stays, for nobody else remembers that it has ended. Answers how many have something left, which goes soon.
  size_t free_dead();

  /// The node's addresses are these from now on: all pods' hostIPs, and podIPs with host networking.
  void node_ips_are(std::vector<std::string> ips);
  /// The runtime has news of this pod (empty: of any).
  void runtime_changed(const std::string& uid);

  /// All pods with their status, by namespace and name.
  std::vector<kube::Pod> pods() const;
  /// One, or Kind::not_found in the API server's words: pods "x" not found.
  Result<kube::Pod> find_pod(std::string_view ns, std::string_view name) const;
  /// Its instances as last observed.
  Result<ObservedPod> find_observed(std::string_view ns, std::string_view name) const;
  Result<Timeline> find_timeline(std::string_view ns, std::string_view name) const;
  EventRecorder& events();

  /// How workers do (worker_stats.h), and kubelet_desired_pods, kubelet_active_pods, kubelet_working_pods.
  void collect(Stats& stats) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::agent
