// SPDX-License-Identifier: Apache-2.0
// The steps of a pod that shall run.
#include "agent/plan.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "agent/plan_parts.h"
#include "common/fnv.h"

namespace keelson::agent {

namespace {

using Kind = Step::Kind;

/// Before and after a start: whether it may be now, from what, and as which attempt.
void plan_start(Planning& p, const kube::Container& container, const ObservedSandbox& sandbox) {
  const ObservedContainer* last = p.observed.newest(container.name);
  auto known = p.memory.containers.find(container.name);
  if (known != p.memory.containers.end() && known->second.trouble && known->second.trouble->retry_at > p.now) {
    p.wake_at(known->second.trouble->retry_at);
    return;
  }
  Step start{.kind = Kind::start_container, .name = container.name, .id = sandbox.id};
  if (last != nullptr && last->state == RunState::exited) {
    bool same = last->spec_hash == spec_hash(container);
    WallTime when = last->finished_at + (same ? restart_wait(*last, p.times) : Duration(0));
    if (when > p.now) {
      p.plan.backing_off[container.name] = when;
      p.wake_at(when);
      return;
    }
    start.attempt = last->attempt + 1;
    start.delay = same ? next_restart_delay(*last, p.times) : p.times.restart_initial;
  } else if (last != nullptr) {
    // Made but never started (the agent died in between), or lost by the runtime.
    p.plan.steps.push_back({.kind = Kind::remove_container, .name = container.name, .id = last->id});
    start.attempt = last->state == RunState::created ? last->attempt : last->attempt + 1;
    start.delay = last->restart_delay;
  }
  p.plan.steps.push_back(std::move(start));
}

/// Of those whose spec is looked at while they run: an init container that is to end by itself is left alone.
std::string change_of(const Planning& p, const kube::Container& container, const ObservedContainer& instance) {
  const bool main = is_main(p.pod, container.name);
  if ((!main && !container.is_sidecar()) || instance.spec_hash == spec_hash(container)) {
    return "";
  }
  return main ? fmt::format("Container {} definition changed, will be restarted", container.name)
              : fmt::format("Init container {} definition changed", container.name);
}

/// Running instances whose image changed, or that a probe or hook condemned.
void plan_kills(Planning& p) {
  for (const auto& instance : p.observed.containers) {
    const kube::Container* container = kube::find_container(p.pod.spec, instance.name);
    if (instance.state != RunState::running || container == nullptr) {
      continue;
    }
    const ContainerMemory* known = memory_of(p.memory, instance);
    const std::string change = change_of(p, *container, instance);
    Step kill{.kind = Kind::kill_container, .name = instance.name, .id = instance.id};
    kill.grace = std::chrono::seconds(p.pod.spec.termination_grace_period_seconds);
    kill.restarts = true;
    if (!change.empty()) {
      kill.message = change;
    } else if (known != nullptr && known->condemned) {
      kill.message = known->condemned->message;
      kill.grace = std::chrono::seconds(known->condemned->grace.value_or(p.pod.spec.termination_grace_period_seconds));
      kill.restarts = known->condemned->restarts;
    } else if (resize_of(p.pod, instance, p.memory, p.times.quotas) == Resize::by_restart) {
      kill.message = fmt::format("Container {} resize requires restart", instance.name);
    } else {
      continue;
    }
    p.plan.steps.push_back(std::move(kill));
  }
}

void plan_resizes(Planning& p) {
  for (const auto& instance : p.observed.containers) {
    if (resize_of(p.pod, instance, p.memory, p.times.quotas) == Resize::in_place) {
      p.plan.steps.push_back({.kind = Kind::resize_container, .name = instance.name, .id = instance.id});
    }
  }
}

/// Keeps, for each container, the newest instance and one dead one besides; old sandboxes go once they are empty.
void plan_garbage(Planning& p) {
  std::map<std::string_view, int> dead_behind;
  for (const auto& instance : p.observed.containers) {
    const ObservedContainer* newest = p.observed.newest(instance.name);
    if (&instance == newest || instance.state == RunState::running) {
      continue;
    }
    bool keep =
        newest->state != RunState::exited && instance.state == RunState::exited && dead_behind[instance.name] == 0;
    ++dead_behind[instance.name];
    if (!keep) {
      p.plan.steps.push_back(
          {.kind = Kind::remove_container, .name = instance.name, .id = instance.id, .with_log = true});
    }
  }
  for (size_t i = 1; i < p.observed.sandboxes.size(); ++i) {
    const auto& sandbox = p.observed.sandboxes[i];
    bool empty = std::ranges::none_of(p.observed.containers, [&](const auto& c) { return c.sandbox_id == sandbox.id; });
    if (sandbox.ready) {
      p.plan.steps.push_back({.kind = Kind::stop_sandbox, .id = sandbox.id});
    } else if (empty) {
      p.plan.steps.push_back({.kind = Kind::remove_sandbox, .id = sandbox.id});
    }
  }
}

/// A new sandbox: what still runs in an old one is ended first.
void plan_sandbox(Planning& p) {
  if (plan_kill_all(p, std::chrono::seconds(p.pod.spec.termination_grace_period_seconds))) {
    std::ranges::for_each(p.plan.steps, [](Step& step) { step.restarts = step.kind == Kind::kill_container; });
    return;
  }
  for (const auto& sandbox : p.observed.sandboxes) {
    if (sandbox.ready) {
      p.plan.steps.push_back({.kind = Kind::stop_sandbox, .id = sandbox.id});
    }
  }
  if (p.memory.sandbox_trouble && p.memory.sandbox_trouble->retry_at > p.now) {
    p.wake_at(p.memory.sandbox_trouble->retry_at);
    return;
  }
  uint32_t attempt = p.observed.sandboxes.empty() ? 0 : p.observed.sandboxes.front().attempt + 1;
  p.plan.steps.push_back({.kind = Kind::create_sandbox, .attempt = attempt});
}

void plan_containers(Planning& p, const ObservedSandbox& sandbox) {
  for (const auto& ephemeral : p.pod.spec.ephemeral_containers) {
    const ObservedContainer* only = p.observed.newest(ephemeral.container.name);
    if (only == nullptr || only->state == RunState::created) {
      plan_start(p, ephemeral.container, sandbox);
    }
  }
  InitProgress init = init_progress(p.pod, p.observed, p.memory);
  for (const kube::Container* container : init.starts) {
    plan_start(p, *container, sandbox);
  }
  if (!init.done) {
    return;
  }
  for (const auto& container : p.pod.spec.containers) {
    const ObservedContainer* last = p.observed.newest(container.name);
    bool ended = last != nullptr && last->state == RunState::exited;
    if (has_ended_unseen(p.pod, p.observed, container.name)) {
      continue;
    }
    if (last == nullptr || last->state == RunState::created || last->state == RunState::unknown ||
        (ended && may_restart(p.pod, p.memory, *last))) {
      plan_start(p, container, sandbox);
    }
  }
}

void plan_sync(Planning& p) {
  if (p.pod.spec.active_deadline_seconds) {
    p.wake_at(p.memory.start_time + std::chrono::seconds(*p.pod.spec.active_deadline_seconds));
  }
  if (!p.memory.prepared) {
    if (p.memory.sandbox_trouble && p.memory.sandbox_trouble->retry_at > p.now) {
      p.wake_at(p.memory.sandbox_trouble->retry_at);
      return;
    }
    p.plan.steps.push_back({.kind = Kind::prepare});
  }
  const ObservedSandbox* sandbox = usable_sandbox(p.pod, p.observed);
  if (sandbox == nullptr) {
    plan_sandbox(p);
    return;
  }
  plan_garbage(p);
  plan_kills(p);
  plan_containers(p, *sandbox);
  plan_resizes(p);
}

}  // namespace

std::string_view to_string(Step::Kind kind) {
  switch (kind) {
    case Kind::prepare:
      return "prepare";
    case Kind::create_sandbox:
      return "create_sandbox";
    case Kind::stop_sandbox:
      return "stop_sandbox";
    case Kind::remove_sandbox:
      return "remove_sandbox";
    case Kind::start_container:
      return "start_container";
    case Kind::kill_container:
      return "kill_container";
    case Kind::resize_container:
      return "resize_container";
    case Kind::remove_container:
      return "remove_container";
    case Kind::release:
      return "release";
    case Kind::clean_up:
      return "clean_up";
  }
  return "";
}

CpuQuotas quotas_of(const std::string& container, const PodMemory& memory, CpuQuotas quotas) {
  quotas.enforced = quotas.enforced && !memory.own_cpus.contains(container);
  return quotas;
}

/// What it is to have is known once the pod is prepared: it may have CPUs of its own.
Resize resize_of(const kube::Pod& pod, const ObservedContainer& instance, const PodMemory& memory, CpuQuotas quotas) {
  const kube::Container* container = kube::find_container(pod.spec, instance.name);
  const ContainerMemory* known = memory_of(memory, instance);
  const bool stays = std::ranges::any_of(pod.spec.containers, [&](const auto& c) { return &c == container; }) ||
                     (container != nullptr && container->is_sidecar());
  if (!memory.prepared || !stays || instance.state != RunState::running || (known != nullptr && known->condemned)) {
    return Resize::none;
  }
  return resize_of(pod, *container, instance, known != nullptr ? known->given : std::nullopt,
                   quotas_of(instance.name, memory, quotas));
}

Plan plan(const kube::Pod& pod, const ObservedPod& observed, const PodMemory& memory, WallTime now,
          const LifecycleTimes& times) {
  Planning p{pod, observed, memory, now, times, {}};
  if (memory.removed || verdict(pod, observed, memory, now)) {
    plan_ending(p);
  } else {
    plan_sync(p);
  }
  return std::move(p.plan);
}

/// The kubelet's own (kuberuntime HashContainer, from 1.31 on): FNV-1a over what Go's spew says of the JSON's bytes.
std::string spec_hash(const kube::Container& container) {
  const auto text = boost::json::serialize(boost::json::object{{"image", container.image}, {"name", container.name}});
  std::vector<unsigned> bytes;
  for (const unsigned char byte : text) {
    bytes.push_back(byte);
  }
  return fmt::format("{:x}", fnv1a_32(fmt::format("([]uint8)[{}]", fmt::join(bytes, " "))));
}

Duration restart_wait(const ObservedContainer& ended, const LifecycleTimes& times) {
  return ended.finished_at - ended.created_at > times.restart_reset ? Duration(0) : ended.restart_delay;
}

Duration next_restart_delay(const ObservedContainer& ended, const LifecycleTimes& times) {
  if (ended.restart_delay == Duration(0) || ended.finished_at - ended.created_at > times.restart_reset) {
    return times.restart_initial;
  }
  return std::min(2 * ended.restart_delay, times.restart_max);
}

}  // namespace keelson::agent
