// SPDX-License-Identifier: Apache-2.0
// One container's status: from an instance, from what it waits for, or from what was said of it before.
#include "agent/container_statuses.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/container_in_force.h"
#include "agent/plan_parts.h"

namespace keelson::agent {

namespace {

using kube::PodPhase;

std::optional<WallTime> time_of(WallTime time) {
  return time.time_since_epoch().count() == 0 ? std::nullopt : std::optional(time);
}

kube::ContainerState terminated_state(const ObservedContainer& instance, const StatusNode& node) {
  kube::ContainerTerminated ended{.exit_code = instance.exit_code,
                                  .signal = 0,
                                  .reason = instance.reason,
                                  .message = instance.message,
                                  .started_at = time_of(instance.started_at),
                                  .finished_at = time_of(instance.finished_at),
                                  .container_id = node.runtime_name + "://" + instance.id};
  if (ended.reason.empty()) {
    ended.reason = instance.exit_code == 0 ? "Completed" : "Error";
  }
  kube::ContainerState state;
  state.terminated = std::move(ended);
  return state;
}

kube::ContainerState waiting_state(std::string reason, std::string message = {}) {
  kube::ContainerState state;
  state.waiting = kube::ContainerWaiting{std::move(reason), std::move(message)};
  return state;
}

/// Why a container that does not run waits, if it is to run.
std::optional<kube::ContainerState> reason_to_wait(const StatusInput& in, const kube::Container& container,
                                                   const ObservedContainer* newest) {
  if (auto it = in.plan.backing_off.find(container.name); it != in.plan.backing_off.end() && newest != nullptr) {
    const auto& meta = in.pod.metadata;
    return waiting_state("CrashLoopBackOff", fmt::format("back-off {} restarting failed container={} pod={}_{}({})",
                                                         human_duration(it->second - newest->finished_at),
                                                         container.name, meta.name, meta.ns, meta.uid));
  }
  auto known = in.memory.containers.find(container.name);
  if (known != in.memory.containers.end() && known->second.trouble) {
    return waiting_state(known->second.trouble->reason, known->second.trouble->message);
  }
  if (newest == nullptr || newest->state != RunState::exited) {
    return waiting_state(in.pod.spec.init_containers.empty() ? "ContainerCreating" : "PodInitializing");
  }
  return std::nullopt;
}

/// What was said of a container last, or nullptr.
const kube::ContainerStatus* said_of(const StatusInput& in, const kube::Container& container, Role role) {
  const auto& said = role == Role::init        ? in.previous.init_container_statuses
                     : role == Role::ephemeral ? in.previous.ephemeral_container_statuses
                                               : in.previous.container_statuses;
  auto old = std::ranges::find(said, container.name, &kube::ContainerStatus::name);
  return old == said.end() ? nullptr : &*old;
}

kube::ContainerState unknown_end(std::string message) {
  kube::ContainerState state;
  state.terminated =
      kube::ContainerTerminated{.exit_code = kLostExitCode, .reason = kLostReason, .message = std::move(message)};
  return state;
}

/// Of a container that the runtime no longer has, in a pod that ends: what was said of its end, or that nobody knows.
std::optional<kube::ContainerStatus> status_of_lost(const StatusInput& in, const kube::Container& container,
                                                    Role role) {
  const bool ends = in.memory.removed || is_final(in.previous.phase) || in.plan.stage != Plan::Stage::sync;
  if (in.observed.newest(container.name) != nullptr || is_running(in.observed) || !ends) {
    return std::nullopt;
  }
  const kube::ContainerStatus* old = said_of(in, container, role);
  if (old != nullptr && old->state.terminated) {
    return *old;
  }
  if (role != Role::main || !is_initialized(in.pod, in.observed, in.memory)) {
    return std::nullopt;
  }
  kube::ContainerStatus status = old == nullptr ? kube::ContainerStatus() : *old;
  status.name = container.name;
  status.image = status.image.empty() ? container.image : status.image;
  status.ready = false;
  status.started = false;
  status.state = unknown_end("The container could not be located when the pod was terminated");
  return status;
}

/// Of a container without an instance, what it had before: one that ran has ended somehow, and has been restarted.
void remember(const StatusInput& in, const kube::ContainerStatus& old, kube::ContainerStatus& status) {
  status.restart_count = old.restart_count;
  status.last_state = old.last_state;
  if (old.state.terminated) {
    status.last_state = old.state;
  } else if (old.state.running) {
    status.last_state =
        unknown_end("The container could not be located when the pod was deleted.  The container used to be Running");
    status.restart_count += in.memory.removed ? 0 : 1;
  }
}

/// Whether a container without an instance is to get one.
bool starts_again(const StatusInput& in, const kube::Container& container, Role role) {
  switch (role) {
    case Role::init: {
      const auto starts = init_progress(in.pod, in.observed, in.memory).starts;
      return std::ranges::find(starts, &container) != starts.end();
    }
    case Role::main:
      return !has_ended_unseen(in.pod, in.observed, container.name);
    case Role::ephemeral:
      return false;
  }
  return true;
}

}  // namespace

kube::ContainerStatus container_status(const StatusInput& in, const StatusNode& node, const kube::Container& container,
                                       Role role) {
  if (auto lost = status_of_lost(in, container, role)) {
    return *std::move(lost);
  }
  kube::ContainerStatus status;
  status.name = container.name;
  status.image = container.image;
  status.started = false;
  const ObservedContainer* newest = in.observed.newest(container.name);
  tell_in_force(container, newest, status);
  auto previous = std::ranges::find_if(in.observed.containers, [&](const auto& c) {
    return c.name == container.name && &c != newest && c.state == RunState::exited;
  });
  const kube::ContainerStatus* old = said_of(in, container, role);
  if (previous != in.observed.containers.end()) {
    status.last_state = terminated_state(*previous, node);
  } else if (old != nullptr && newest == nullptr) {
    remember(in, *old, status);
  } else if (old != nullptr && std::cmp_equal(newest->attempt, old->restart_count) && old->last_state.terminated &&
             old->last_state.terminated->container_id != node.runtime_name + "://" + newest->id) {
    status.last_state = old->last_state;
  }
  const ContainerMemory* known = newest == nullptr ? nullptr : memory_of(in.memory, *newest);
  bool runs =
      newest != nullptr && newest->state == RunState::running && !(known != nullptr && known->post_start_pending);
  if (newest != nullptr) {
    status.restart_count = static_cast<int32_t>(newest->attempt);
    status.image_id = newest->image_ref;
    status.container_id = node.runtime_name + "://" + newest->id;
  }
  if (runs) {
    status.state.running = kube::ContainerRunning{time_of(newest->started_at)};
    status.started = known != nullptr && known->started;
    status.ready = known != nullptr && known->ready;
  } else if (newest == nullptr && old != nullptr && old->state.terminated && !starts_again(in, container, role)) {
    return *old;
  } else if (auto waiting = reason_to_wait(in, container, newest)) {
    status.state = *waiting;
    if (newest != nullptr && newest->state == RunState::exited) {
      status.last_state = terminated_state(*newest, node);
    }
  } else {
    status.state = terminated_state(*newest, node);
    status.ready = role == Role::init && !container.is_sidecar() && newest->exit_code == 0;
  }
  return status;
}

}  // namespace keelson::agent
