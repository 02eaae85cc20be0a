// SPDX-License-Identifier: Apache-2.0
// A worker and its probes: which instances are probed, and what their news mean.
#include <fmt/format.h>

#include "agent/plan_parts.h"
#include "agent/pod_worker_state.h"
#include "common/log.h"

namespace keelson::agent {

namespace {

constexpr auto kHookErrorShown = std::chrono::seconds(1);

std::string_view probe_word(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::liveness:
      return "liveness";
    case ProbeKind::readiness:
      return "readiness";
    case ProbeKind::startup:
      return "startup";
  }
  return "";
}

/// As the status has it: of an instance that a kubelet has run and probed until now, that is all there is.
ProbeState state_said_of(const kube::PodStatus& status, const ObservedContainer& instance) {
  for (const auto* list : {&status.init_container_statuses, &status.container_statuses}) {
    const auto said = std::ranges::find(*list, instance.name, &kube::ContainerStatus::name);
    if (said != list->end() && said->state.running && said->container_id.ends_with("://" + instance.id)) {
      return {.started = said->started.value_or(false), .ready = said->ready};
    }
  }
  return {};
}

std::string capitalised(std::string_view word) {
  std::string text(word);
  text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

}  // namespace

/// Binds memory to what was just observed, and has new instances probed.
void PodWorker::State::learn() {
  for (const auto& instance : observed.containers) {
    if (instance.state != RunState::running || memory.orphan) {
      shared.probed.forget(instance.id);
    }
  }
  for (const auto* list : {&pod.spec.init_containers, &pod.spec.containers}) {
    for (const auto& container : *list) {
      const ObservedContainer* instance = observed.newest(container.name);
      if (instance == nullptr) {
        continue;
      }
      if (instance->state == RunState::running) {
        learn_instance(container, *instance);
      } else if (auto known = memory.containers.find(container.name); known != memory.containers.end()) {
        known->second.ready = known->second.started = known->second.post_start_pending = false;
        tell_failed_hook(container, *instance, known->second);
        known->second.condemned.reset();
        if (shared.probes != nullptr) {
          shared.probes->forget(pod.metadata.uid, container.name);
        }
      }
    }
  }
}

/// What its postStart hook did is said for a moment, before the back-off, if the container is to run again.
void PodWorker::State::tell_failed_hook(const kube::Container& container, const ObservedContainer& instance,
                                        ContainerMemory& known) {
  const std::string error = std::exchange(known.post_start_error, "");
  if (!error.empty() && (!is_main(pod, container.name) || may_restart(pod, memory, instance))) {
    known.trouble = StartTrouble{"PostStartHookError", error, now() + kHookErrorShown, kHookErrorShown};
  }
}

void PodWorker::State::learn_instance(const kube::Container& container, const ObservedContainer& instance) {
  ContainerMemory& known = memory.containers[container.name];
  if (known.id != instance.id) {
    shared.probed.forget(known.id);
    const auto state = shared.probed.find(instance.id).value_or(state_said_of(pod.status, instance));
    known = ContainerMemory{.id = instance.id, .started = state.started, .ready = state.ready};
  }
  known.trouble.reset();
  if (known.post_start_pending) {
    return;
  }
  if (!container.startup_probe) {
    known.started = true;
  }
  if (!container.readiness_probe) {
    known.ready = known.started;
  }
  keep_probed(container, known);
  if (shared.probes != nullptr && plan.stage == Plan::Stage::sync) {
    std::string ip = observed.sandboxes.empty() || observed.sandboxes.front().ips.empty()
                         ? (shared.node.ips.empty() ? "" : shared.node.ips.front())
                         : observed.sandboxes.front().ips.front();
    shared.probes->watch(pod, instance, ip, {known.started, known.ready}, [weak = weak_from_this()](ProbeNews news) {
      if (auto self = weak.lock()) {
        self->hear(news);
      }
    });
  }
}

/// For the agent that comes after us; what has no probe decides itself again.
void PodWorker::State::keep_probed(const kube::Container& container, const ContainerMemory& known) {
  if (!container.startup_probe && !container.readiness_probe) {
    return;
  }
  if (auto kept = shared.probed.keep(known.id, {known.started, known.ready}); !kept) {
    log::warning("pod {}: probes begin anew after a restart: {}", kube::full_name(pod.metadata),
                 kept.error().message());
  }
}

void PodWorker::State::hear(const ProbeNews& news) {
  auto it = memory.containers.find(news.name);
  const kube::Container* container = kube::find_container(pod.spec, news.name);
  if (it == memory.containers.end() || it->second.id != news.id || container == nullptr) {
    return;
  }
  ContainerMemory& known = it->second;
  std::string_view word = probe_word(news.kind);
  if (news.error) {
    record(news.name, EventType::warning, "Unhealthy",
           fmt::format("{} probe errored and resulted in unknown state: {}", capitalised(word), news.message));
    return;
  }
  if (!news.warning.empty()) {
    record(news.name, EventType::warning, "ProbeWarning",
           fmt::format("{} probe warning: {}", capitalised(word), news.warning));
  }
  if (!news.success && !news.message.empty()) {
    record(news.name, EventType::warning, "Unhealthy",
           fmt::format("{} probe failed: {}", capitalised(word), news.message));
  }
  if (!news.decided) {
    return;
  }
  if (news.kind == ProbeKind::readiness) {
    known.ready = news.success;
  } else if (news.success) {
    known.started = true;
  } else {
    const auto& probe = news.kind == ProbeKind::liveness ? container->liveness_probe : container->startup_probe;
    const bool sidecar = !is_main(pod, news.name);
    const bool restarts = sidecar || pod.spec.restart_policy != kube::RestartPolicy::never;
    known.condemned = Condemned{
        .message = fmt::format("{} {} failed {} probe{}", sidecar ? "Init container" : "Container", news.name, word,
                               restarts && !sidecar ? ", will be restarted" : ""),
        .grace = probe ? probe->termination_grace_period_seconds : std::nullopt,
        .restarts = restarts,
    };
  }
  if (!container->readiness_probe) {
    known.ready = known.started;
  }
  keep_probed(*container, known);
  publish();
  poke();
}

void PodWorker::State::forget_probed() {
  for (const auto& [name, known] : memory.containers) {
    shared.probed.forget(known.id);
  }
}

}  // namespace keelson::agent
