// SPDX-License-Identifier: Apache-2.0
// The agent's own numbers: how workers do, and which pods there are.
#include <algorithm>
#include <array>

#include "agent/agent_state.h"

namespace keelson::agent {

namespace {

const char* static_label(const kube::Pod& pod) {
  return is_static(pod) ? "true" : "";
}

const char* lifecycle_label(Plan::Stage stage) {
  return stage == Plan::Stage::sync ? "sync" : stage == Plan::Stage::ending ? "terminating" : "terminated";
}

using Counts = std::map<std::array<std::string, 3>, double>;  // by config, lifecycle, static

/// All combinations are told, those of which there are none as well.
Counts no_working_pods() {
  Counts counts;
  for (const char* lifecycle : {"sync", "terminating", "terminated"}) {
    counts[{"runtime_only", lifecycle, "unknown"}] = 0;
    for (const char* config : {"desired", "orphan"}) {
      counts[{config, lifecycle, ""}] = counts[{config, lifecycle, "true"}] = 0;
    }
  }
  return counts;
}

void collect_working(const Counts& counts, Stats& stats) {
  for (const auto& [labels, count] : counts) {
    stats.gauge("kubelet_working_pods",
                "[ALPHA] Number of pods the kubelet is actually running, broken down by lifecycle phase, whether the "
                "pod is desired, orphaned, or runtime only (also orphaned), and whether the pod is static. An orphaned "
                "pod has been removed from local configuration or force deleted in the API and consumes resources that "
                "are not otherwise visible.",
                count, {{"config", labels[0]}, {"lifecycle", labels[1]}, {"static", labels[2]}});
  }
}

}  // namespace

void Agent::collect(Stats& stats) const {
  const State& s = *state_;
  s.shared.stats.collect(stats);
  const std::map<std::string, kube::Pod> none;
  const auto& wanted = s.wanted ? s.wanted->pods : none;
  auto working = no_working_pods();
  double resizing = 0;
  for (const auto& [key, entry] : s.pods) {
    const PodWorker& worker = *entry.worker;
    resizing += is_resizing(worker.pod().status) ? 1 : 0;
    const char* lifecycle = lifecycle_label(worker.stage());
    const auto known = wanted.find(key);
    const bool desired = known != wanted.end() && known->second.metadata.uid == worker.pod().metadata.uid;
    ++working[worker.is_orphan()
                  ? std::array<std::string, 3>{"runtime_only", lifecycle, "unknown"}
                  : std::array<std::string, 3>{desired ? "desired" : "orphan", lifecycle, static_label(worker.pod())}];
  }
  collect_working(working, stats);
  stats.gauge("kubelet_pod_in_progress_resizes", "[ALPHA] Number of in-progress resizes for pods.", resizing);
  std::map<std::string, double> desired = {{"", 0}, {"true", 0}};
  auto active = desired;
  size_t ephemeral = 0;
  for (const auto& [key, pod] : wanted) {
    ephemeral += pod.spec.ephemeral_containers.size();
    ++desired[static_label(pod)];
    const PodWorker* worker = s.find(pod.metadata.ns, pod.metadata.name);
    active[static_label(pod)] += worker == nullptr || !worker->has_ended() ? 1 : 0;
  }
  stats.gauge("kubelet_managed_ephemeral_containers",
              "[ALPHA] Current number of ephemeral containers in pods managed by this kubelet.",
              static_cast<double>(ephemeral));
  for (const auto& [label, count] : desired) {
    stats.gauge("kubelet_desired_pods",
                "[ALPHA] The number of pods the kubelet is being instructed to run. static is true if the pod is not "
                "from the apiserver.",
                count, {{"static", label}});
    stats.gauge("kubelet_active_pods",
                "[ALPHA] The number of pods the kubelet considers active and which are being considered when admitting "
                "new pods. static is true if the pod is not from the apiserver.",
                active[label], {{"static", label}});
  }
}

}  // namespace keelson::agent
