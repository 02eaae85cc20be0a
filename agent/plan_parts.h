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

/// Those that hold this container.
CpuQuotas quotas_of(const std::string& container, const PodMemory& memory, CpuQuotas quotas);

/// What this instance needs of the CPU and memory that its spec has now; of one that is to end, nothing.
Resize resize_of(const kube::Pod& pod, const ObservedContainer& instance, const PodMemory& memory, CpuQuotas quotas);

// Of a container that ran, and whose instance the runtime has lost.
constexpr int32_t kLostExitCode = 137;
constexpr const char* kLostReason = "ContainerStatusUnknown";
/// How a main container without an instance has ended by what was said of it (pod.status); nullopt if it never ran.
std::optional<int32_t> unseen_exit_code(const kube::Pod& pod, const ObservedPod& observed, std::string_view name);
/// Whether it has, and restartPolicy lets it rest.
bool has_ended_unseen(const kube::Pod& pod, const ObservedPod& observed, std::string_view name);

/// Whether it is one of spec.containers.
bool is_main(const kube::Pod& pod, std::string_view name);
/// Whether a main container that has ended is to run again: by restartPolicy, or because it was killed for that.
bool may_restart(const kube::Pod& pod, const PodMemory& memory, const ObservedContainer& ended);
bool is_running(const ObservedPod& observed);
/// The newest sandbox, if containers can run in it; else nullptr.
const ObservedSandbox* usable_sandbox(const kube::Pod& pod, const ObservedPod& observed);

/// Steps that kill whatever runs, all at the same time. False if nothing runs.
bool plan_kill_all(Planning& p, Duration grace);

/// Steps that end whatever runs, and then the sandbox (and for a removed pod, everything).
void plan_ending(Planning& p);

}  // namespace keelson::agent
