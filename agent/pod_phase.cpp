// SPDX-License-Identifier: Apache-2.0
// Counting containers by what they do.
#include "agent/pod_phase.h"

#include "agent/plan_parts.h"

namespace keelson::agent {

kube::PodPhase current_phase(const kube::Pod& pod, const ObservedPod& observed, const PodMemory& memory) {
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
    bool ran_before = std::ranges::any_of(
        observed.containers, [&](const auto& c) { return c.name == container.name && c.state == RunState::exited; });
    bool runs = last != nullptr && last->state == RunState::running;
    if (!runs && !ran_before) {
      return kube::PodPhase::pending;
    }
  }
  return kube::PodPhase::running;
}

}  // namespace keelson::agent
