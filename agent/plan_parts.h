// SPDX-License-Identifier: Apache-2.0
// What plan() is put together from.
#pragma once

#include <algorithm>
#include <vector>

#include "agent/container_in_force.h"
#include "agent/plan.h"

namespace keelson::agent {

/// One question to plan(), with the answer as it grows.
struct Planning {
  const kube::Pod& pod;
  const ObservedPod& observed;
  const PodMemory& memory;
  WallTime now;
  const LifecycleTimes& times;
  Plan plan;

  /// Asks again at `when`, or earlier.
  void wake_at(WallTime when) { plan.wake = plan.wake ? std::min(*plan.wake, when) : when; }
};

/// How far the init containers of the newest sandbox are.
struct InitProgress {
  bool done = false;                           ///< The containers may start.
  std::vector<const kube::Container*> starts;  ///< To be started now, in order (restarts included).
  const ObservedContainer* failed = nullptr;   ///< A regular one whose last exit was no success, and that bars the way.
  std::vector<const kube::Container*> incomplete;
};
InitProgress init_progress(const kube::Pod& pod, const ObservedPod& observed, const PodMemory& memory);

/// The newest instance of `name` in the newest sandbox.
const ObservedContainer* instance_in_newest(const ObservedPod& observed, std::string_view name);

/// The memory of exactly this instance, or nullptr.
const ContainerMemory* memory_of(const PodMemory& memory, const ObservedContainer& instance);

/// What this instance needs of the CPU and memory that its spec has now; of one that is to end, nothing.
Resize resize_of(const kube::Pod& pod, const ObservedContainer& instance, const PodMemory& memory, CpuQuotas quotas);

/// By the policy; or because the node itself has ended it for another one.
bool may_restart(kube::RestartPolicy policy, const ObservedContainer& ended, const PodMemory& memory);
bool is_running(const ObservedPod& observed);

/// Steps that end whatever runs, and then the sandbox (and for a removed pod, everything).
void plan_ending(Planning& p);

}  // namespace keelson::agent
