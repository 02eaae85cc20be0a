// SPDX-License-Identifier: Apache-2.0
// Counting containers by what they do.
#include "agent/pod_phase.h"

#include "agent/plan_parts.h"

namespace keelson::agent {

kube::PodPhase current_phase(const kube::Pod& pod, const ObservedPod& observed, const PodMemory& memory,
                             const std::vector<kube::ContainerStatus>& said) {
  if (memory.removed && !is_running(observed)) {
    bool failed = std::ranges::any_of(pod.spec.containers, [&](const auto& container) {
      const ObservedContainer* last = observed.newest(container.name);
      return last == nullptr || last->exit_code != 0;
    });
    return failed ? kube::PodPhase::failed : kube::PodPhase::succeeded;
  }
  if (!is_initialized(pod, observed, memory)) {
    return kube::PodPhase::pending;
  }
  for (const auto& container : pod.spec.containers) {
    const ObservedContainer* last = observed.newest(container.name);
    // An instance that never ran counts as waiting, unless one before it ran.
    auto status = std::ranges::find(said, container.name, &kube::ContainerStatus::name);
    bool ran_before = status != said.end() && (status->state.terminated || status->last_state.terminated);
    bool runs = last != nullptr && last->state == RunState::running;
    if (!runs && !ran_before) {
      return kube::PodPhase::pending;
    }
  }
  return kube::PodPhase::running;
}

}  // namespace keelson::agent
