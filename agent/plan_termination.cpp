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

Step kill_step(const Planning& p, const ObservedContainer& instance) {
  auto total = std::chrono::seconds(p.memory.grace.value_or(p.pod.spec.termination_grace_period_seconds));
  auto left = total - (p.now - p.memory.ending_since.value_or(p.now));
  return {.kind = Kind::kill_container,
          .name = instance.name,
          .id = instance.id,
          .grace = std::max<Duration>(left, std::chrono::seconds(0)),
          .message = fmt::format("Stopping container {}", instance.name)};
}

/// Mains all at once; once they are gone, the last sidecar that runs. False if nothing runs.
bool plan_ending_kills(Planning& p) {
  size_t before = p.plan.steps.size();
  for (const auto& instance : p.observed.containers) {
    if (instance.state == RunState::running && find_sidecar(p.pod, instance.name) == nullptr) {
      p.plan.steps.push_back(kill_step(p, instance));
    }
  }
  if (p.plan.steps.size() > before) {
    return true;
  }
  for (auto it = p.pod.spec.init_containers.rbegin(); it != p.pod.spec.init_containers.rend(); ++it) {
    const ObservedContainer* instance = p.observed.newest(it->name);
    if (instance != nullptr && instance->state == RunState::running) {
      p.plan.steps.push_back(kill_step(p, *instance));
      return true;
    }
  }
  return false;
}

/// A pod that may not be restarted and lost its sandbox can never go on.
bool is_stranded(const kube::Pod& pod, const ObservedPod& observed) {
  return pod.spec.restart_policy == kube::RestartPolicy::never && !observed.sandboxes.empty() &&
         !observed.sandboxes.front().ready && !observed.containers.empty() && !is_running(observed);
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

bool may_restart(kube::RestartPolicy policy, const ObservedContainer& ended, const PodMemory& memory) {
  const ContainerMemory* known = memory_of(memory, ended);
  return (known != nullptr && known->again) || policy == kube::RestartPolicy::always ||
         (policy == kube::RestartPolicy::on_failure && ended.exit_code != 0);
}

void plan_ending(Planning& p) {
  p.plan.stage = Plan::Stage::ending;
  if (plan_ending_kills(p)) {
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
  bool failed = false;
  bool stranded = is_stranded(pod, observed);
  for (const auto& container : pod.spec.containers) {
    const ObservedContainer* last = observed.newest(container.name);
    bool ended = last != nullptr && last->state == RunState::exited;
    if (stranded && !ended) {
      failed = true;
    } else if (!ended || may_restart(pod.spec.restart_policy, *last, memory)) {
      return std::nullopt;
    } else {
      failed = failed || last->exit_code != 0;
    }
  }
  return Verdict{failed ? kube::PodPhase::failed : kube::PodPhase::succeeded, "", ""};
}

}  // namespace keelson::agent
