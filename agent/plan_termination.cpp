// SPDX-License-Identifier: Apache-2.0
// How a pod ends: which final phase, and in which order its parts go.
#include <fmt/format.h>

#include "agent/plan_parts.h"

namespace keelson::agent {

namespace {

using Kind = Step::Kind;

const kube::Container* find_sidecar(const kube::Pod& pod, std::string_view name) {
  auto it = std::ranges::find(pod.spec.init_containers, name, &kube::Container::name);
  return it != pod.spec.init_containers.end() && it->is_sidecar() ? &*it : nullptr;
}

bool policy_restarts(const kube::Pod& pod, int32_t exit_code) {
  const kube::RestartPolicy policy = pod.spec.restart_policy;
  return policy == kube::RestartPolicy::always || (policy == kube::RestartPolicy::on_failure && exit_code != 0);
}

/// What must have ended before this sidecar is told to: the mains, and the sidecars behind it.
std::vector<std::string> those_before(const Planning& p, const kube::Container* sidecar) {
  std::vector<std::string> ids;
  for (const auto& instance : p.observed.containers) {
    const kube::Container* other = find_sidecar(p.pod, instance.name);
    const bool behind = other != nullptr && other > sidecar;  // both in one list
    if (instance.state == RunState::running && (is_main(p.pod, instance.name) || behind)) {
      ids.push_back(instance.id);
    }
  }
  return ids;
}

/// A pod that may not be restarted and lost its sandbox can never go on; what still runs in it is ended.
bool is_stranded(const kube::Pod& pod, const ObservedPod& observed) {
  return pod.spec.restart_policy == kube::RestartPolicy::never && !observed.sandboxes.empty() &&
         !observed.containers.empty() && usable_sandbox(pod, observed) == nullptr;
}

void plan_removal_of_dead(Planning& p) {
  for (const auto& instance : p.observed.containers) {
    p.plan.steps.push_back({.kind = Kind::remove_container, .name = instance.name, .id = instance.id});
  }
  for (const auto& sandbox : p.observed.sandboxes) {
    p.plan.steps.push_back({.kind = Kind::remove_sandbox, .id = sandbox.id});
  }
}

/// Its phase is final, and its object still there.
void plan_finish(Planning& p) {
  if (!p.plan.steps.empty()) {
    return;  // the sandbox first
  }
  if (!p.memory.released) {
    p.plan.steps.push_back({.kind = Kind::release});
  } else if (p.memory.free_dead) {
    plan_removal_of_dead(p);
  }
  if (p.plan.steps.empty()) {
    p.plan.stage = Plan::Stage::finished;
  }
}

}  // namespace

bool is_running(const ObservedPod& observed) {
  return std::ranges::any_of(observed.containers, [](const auto& c) { return c.state == RunState::running; });
}

bool is_main(const kube::Pod& pod, std::string_view name) {
  return std::ranges::find(pod.spec.containers, name, &kube::Container::name) != pod.spec.containers.end();
}

bool may_restart(const kube::Pod& pod, const PodMemory& memory, const ObservedContainer& ended) {
  const ContainerMemory* known = memory_of(memory, ended);
  return policy_restarts(pod, ended.exit_code) || (known != nullptr && known->restarts);
}

std::optional<int32_t> unseen_exit_code(const kube::Pod& pod, const ObservedPod& observed, std::string_view name) {
  const auto& said = pod.status.container_statuses;
  auto old = std::ranges::find(said, name, &kube::ContainerStatus::name);
  if (observed.newest(name) != nullptr || old == said.end()) {
    return std::nullopt;
  }
  if (old->state.terminated) {
    return old->state.terminated->exit_code;
  }
  const auto& last = old->last_state.terminated;
  const bool lost = old->state.running || (last && last->reason == kLostReason);
  return lost ? std::optional(kLostExitCode) : std::nullopt;
}

bool has_ended_unseen(const kube::Pod& pod, const ObservedPod& observed, std::string_view name) {
  const auto code = unseen_exit_code(pod, observed, name);
  return code && !policy_restarts(pod, *code);
}

const ObservedSandbox* usable_sandbox(const kube::Pod& pod, const ObservedPod& observed) {
  const ObservedSandbox* newest = observed.sandboxes.empty() ? nullptr : &observed.sandboxes.front();
  return newest != nullptr && newest->ready && (pod.spec.host_network || !newest->ips.empty()) ? newest : nullptr;
}

bool plan_kill_all(Planning& p, Duration grace) {
  const size_t before = p.plan.steps.size();
  for (const auto& instance : p.observed.containers) {
    if (instance.state != RunState::running) {
      continue;
    }
    Step kill{.kind = Kind::kill_container,
              .name = instance.name,
              .id = instance.id,
              .grace = grace,
              .message = fmt::format("Stopping container {}", instance.name)};
    if (const kube::Container* sidecar = find_sidecar(p.pod, instance.name)) {
      kill.after = those_before(p, sidecar);
    }
    p.plan.steps.push_back(std::move(kill));
  }
  return p.plan.steps.size() > before;
}

void plan_ending(Planning& p) {
  p.plan.stage = Plan::Stage::ending;
  const auto total = std::chrono::seconds(p.memory.grace.value_or(p.pod.spec.termination_grace_period_seconds));
  const Duration left = total - (p.now - p.memory.ending_since.value_or(p.now));
  if (plan_kill_all(p, std::max(left, Duration(0)))) {
    return;
  }
  for (const auto& sandbox : p.observed.sandboxes) {
    if (sandbox.ready) {
      p.plan.steps.push_back({.kind = Kind::stop_sandbox, .id = sandbox.id});
    }
  }
  if (!p.memory.removed) {
    plan_finish(p);
    return;
  }
  plan_removal_of_dead(p);
  if (!p.memory.cleaned) {
    p.plan.steps.push_back({.kind = Kind::clean_up});
  } else if (p.plan.steps.empty()) {
    p.plan.stage = Plan::Stage::gone;
  }
}

std::optional<Verdict> verdict(const kube::Pod& pod, const ObservedPod& observed, const PodMemory& memory,
                               WallTime now) {
  if (memory.verdict) {
    return memory.verdict;
  }
  const auto& deadline = pod.spec.active_deadline_seconds;
  if (deadline && now >= memory.start_time + std::chrono::seconds(*deadline)) {
    return Verdict{kube::PodPhase::failed, "DeadlineExceeded",
                   "Pod was active on the node longer than the specified deadline"};
  }
  if (pod.spec.restart_policy == kube::RestartPolicy::always) {
    return std::nullopt;
  }
  InitProgress init = init_progress(pod, observed, memory);
  if (init.failed != nullptr && pod.spec.restart_policy == kube::RestartPolicy::never) {
    return Verdict{kube::PodPhase::failed, "", ""};
  }
  bool stranded = is_stranded(pod, observed);
  bool failed = false;
  for (const auto& container : pod.spec.containers) {
    const ObservedContainer* last = observed.newest(container.name);
    bool ended = last != nullptr && last->state == RunState::exited;
    if (has_ended_unseen(pod, observed, container.name)) {
      failed = failed || *unseen_exit_code(pod, observed, container.name) != 0;
    } else if (stranded && !ended) {
      failed = true;
    } else if (!ended || may_restart(pod, memory, *last)) {
      return std::nullopt;
    } else {
      failed = failed || last->exit_code != 0;
    }
  }
  return Verdict{failed ? kube::PodPhase::failed : kube::PodPhase::succeeded, "", ""};
}

}  // namespace keelson::agent
