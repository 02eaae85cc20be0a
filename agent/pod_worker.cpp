// SPDX-License-Identifier: Apache-2.0
// The worker's loop.
#include "agent/pod_worker.h"

#include <fmt/format.h>

#include "agent/config/volumes.h"
#include "agent/plan_parts.h"
#include "agent/pod_worker_state.h"
#include "common/log.h"

namespace keelson::agent {

namespace {

using namespace asio::experimental::awaitable_operators;

/// The end that a status tells of.
std::optional<Verdict> final_verdict(const kube::PodStatus& status) {
  if (!is_final(status.phase)) {
    return std::nullopt;
  }
  return Verdict{*status.phase, status.reason, status.message};
}

/// Where in the spec a container stands.
std::string_view list_of(const kube::Pod& pod, std::string_view name) {
  if (std::ranges::find(pod.spec.init_containers, name, &kube::Container::name) != pod.spec.init_containers.end()) {
    return "initContainers";
  }
  const bool ephemeral = std::ranges::any_of(pod.spec.ephemeral_containers,
                                             [&](const auto& other) { return other.container.name == name; });
  return ephemeral ? "ephemeralContainers" : "containers";
}

}  // namespace

EventRecorder::Subject PodWorker::State::subject(std::string_view container) const {
  return {.pod = pod.metadata, .container = std::string(container), .list = list_of(pod, container)};
}

std::string PodWorker::State::container_type(std::string_view name) const {
  const auto list = list_of(pod, name);
  return list == "initContainers"        ? "init_container"
         : list == "ephemeralContainers" ? "ephemeral_container"
                                         : "container";
}

void PodWorker::State::record(std::string_view container, EventType type, std::string_view reason,
                              std::string message) {
  shared.events.record(subject(container), type, reason, std::move(message));
}

void PodWorker::State::publish() {
  if (memory.orphan) {
    return;
  }
  kube::PodStatus status =
      make_status({pod, observed, memory, plan, pod.status, shared.times.quotas}, shared.node, now());
  if (is_ready(status) || plan.stage != Plan::Stage::sync) {
    timeline.close();
  }
  if (status != pod.status) {
    std::swap(pod.status, status);
    tell_resized(status);
    if (!memory.verdict) {
      memory.verdict = final_verdict(pod.status);  // it stands, when its containers have gone, too
    }
    shared.status_changed(pod);
  }
}

void PodWorker::State::tell_resized(const kube::PodStatus& before) {
  if (plan.stage == Plan::Stage::sync && is_resizing(before) && !is_resizing(pod.status)) {
    record({}, EventType::normal, "ResizeCompleted", "Pod resize completed: " + resize_summary(pod));
  }
}

void PodWorker::State::ask_plan() {
  plan = agent::plan(pod, observed, memory, now(), shared.times);
  if (plan.stage != Plan::Stage::sync && !memory.ending_since) {
    memory.ending_since = now();
    if (shared.probes != nullptr) {
      shared.probes->pod_ends(pod.metadata.uid);
    }
    plan = agent::plan(pod, observed, memory, now(), shared.times);
  }
}

void PodWorker::State::tell_back_off() {
  for (const auto& [name, when] : plan.backing_off) {
    const ObservedContainer* ended = observed.newest(name);
    if (ended != nullptr && backing_off.insert(ended->id).second) {
      const auto& meta = pod.metadata;
      record(
          name, EventType::warning, "BackOff",
          fmt::format("Back-off restarting failed container {} in pod {}_{}({})", name, meta.name, meta.ns, meta.uid));
    }
  }
}

/// A failed pull is told as such for a moment, and then as waiting.
void PodWorker::State::tell_pull_back_off() {
  constexpr auto kShown = std::chrono::seconds(1);
  for (auto& [name, known] : memory.containers) {
    const kube::Container* container = kube::find_container(pod.spec, name);
    if (container == nullptr || !known.trouble || known.trouble->reason != "ErrImagePull") {
      continue;
    }
    WallTime shown = known.trouble->retry_at - known.trouble->delay + kShown;
    if (now() < shown) {
      plan.wake = plan.wake ? std::min(*plan.wake, shown) : shown;
      continue;
    }
    auto text = fmt::format("Back-off pulling image \"{}\"", known.trouble->image);
    record(known.trouble->image == container->image ? name : "", EventType::normal, "BackOff", text);
    known.trouble->reason = "ImagePullBackOff";
    known.trouble->message = fmt::format("{}: ErrImagePull: {}", text, known.trouble->message);
  }
}

Task<> PodWorker::State::wait_poke() {
  while (!dirty) {
    co_await wake.async_wait(use_result);
  }
  co_return Result<>();
}

Task<> PodWorker::State::wait_interrupt() {
  while (!interrupted) {
    co_await interrupt.async_wait(use_result);
  }
  co_return Result<>();
}

/// Until poked, or the plan's wake time, or the next look.
Task<> PodWorker::State::wait_for_change() {
  Duration wait = shared.resync;
  if (plan.wake) {
    wait = std::min<Duration>(wait, *plan.wake - now());
  }
  if (retry > Duration(0)) {
    wait = std::min(wait, retry);
  }
  if (wait > Duration(0) && !dirty) {
    auto outcome = co_await (shared.loop.sleep(wait) || wait_poke());
    if (outcome.index() == 0 && !std::get<0>(outcome)) {
      co_return std::unexpected(std::get<0>(outcome).error());
    }
  }
  co_return Result<>();
}

Task<> PodWorker::State::carry_out_step(Step step) {
  switch (step.kind) {
    case Step::Kind::prepare:
      co_return co_await prepare();
    case Step::Kind::create_sandbox:
      co_return co_await create_sandbox(step.attempt);
    case Step::Kind::stop_sandbox:
      co_return co_await shared.runtime.stop_sandbox(step.id);
    case Step::Kind::remove_sandbox:
      co_return co_await shared.runtime.remove_sandbox(step.id);
    case Step::Kind::start_container:
      co_return co_await start_container(std::move(step));
    case Step::Kind::kill_container:
      co_return co_await kill_container(std::move(step));
    case Step::Kind::resize_container:
      co_return co_await resize_container(std::move(step));
    case Step::Kind::remove_container:
      co_return co_await shared.runtime.remove_container(step.id, step.with_log);
    case Step::Kind::release: {
      KEELSON_CO_DO(co_await shared.runtime.release(pod));
      memory.released = true;
      co_return Result<>();
    }
    case Step::Kind::clean_up: {
      KEELSON_CO_DO(co_await shared.runtime.clean_up(pod));
      memory.cleaned = true;
      co_return Result<>();
    }
  }
  co_return Result<>();
}

/// Kills at the same time, then the rest in order, up to the first that fails; containers do not wait for one another's
/// failures.
Task<> PodWorker::State::carry_out(Plan what) {
  failed_volumes.clear();
  std::vector<Step> kills;
  std::vector<Step> rest;
  for (auto& step : what.steps) {
    (step.kind == Step::Kind::kill_container ? kills : rest).push_back(std::move(step));
  }
  Result<> outcome;
  bool tried_container = false;
  if (!kills.empty()) {
    if (what.stage == Plan::Stage::ending) {
      outcome = co_await end_containers(std::move(kills));
    } else {
      KEELSON_CO_DO(co_await leave_services(what.stage != Plan::Stage::sync));
      outcome = co_await kill_all(std::move(kills), 0);
    }
  }
  for (auto& step : rest) {
    const Step::Kind kind = step.kind;
    tried_container = tried_container || kind == Step::Kind::start_container;
    const bool alone = kind == Step::Kind::start_container || kind == Step::Kind::resize_container;
    auto done = co_await carry_out_step(std::move(step));
    if (!done) {
      if (kind == Step::Kind::stop_sandbox && what.stage == Plan::Stage::ending) {
        tell_failed_kill(done.error());
      }
      outcome = std::move(done);
      if (!alone) {
        break;
      }
    }
  }
  if (starts_users && (!outcome || tried_container)) {
    starts_users = false;
    if (!outcome) {
      shared.stats.own_users_failed();
    }
  }
  co_return outcome;
}

PodWorker::PodWorker(WorkerShared& shared, kube::Pod pod, bool orphan)
    : state_(std::make_shared<State>(shared, std::move(pod))) {
  state_->memory.start_time = state_->pod.status.start_time.value_or(state_->now());
  state_->memory.verdict = final_verdict(state_->pod.status);
  state_->memory.orphan = orphan;
  state_->memory.removed = orphan;
}

PodWorker::~PodWorker() {
  if (state_->shared.probes != nullptr) {
    for (const auto& [name, known] : state_->memory.containers) {
      state_->shared.probes->forget(state_->pod.metadata.uid, name);
    }
  }
}

Task<> PodWorker::run() {
  auto s = state_;
  if (!s->memory.orphan) {
    s->shared.stats.new_pod(s->pod.spec.containers.size());
  }
  while (true) {
    const State::Pass pass = s->take_asked();
    s->dirty = false;
    s->interrupted = false;
    auto looked = co_await (s->shared.runtime.observe(s->pod.metadata.uid) || s->wait_interrupt());
    if (looked.index() == 1) {
      continue;
    }
    auto observed = std::get<0>(std::move(looked));
    if (!observed) {
      if (observed.error().kind() == Kind::cancelled) {
        co_return std::unexpected(std::move(observed).error());
      }
      log::warning("pod {}: look at the runtime: {}; trying again in 1 s", kube::full_name(s->pod.metadata),
                   observed.error().message());
      KEELSON_CO_DO(co_await s->shared.loop.sleep(std::chrono::seconds(1)));
      continue;
    }
    s->observed = *std::move(observed);
    for (auto& sandbox : s->observed.sandboxes) {
      sandbox.ips = in_family_order(sandbox.ips, s->shared.node);
    }
    if (!s->observed.sandboxes.empty()) {
      s->memory.start_time = std::min(s->memory.start_time, s->observed.sandboxes.back().created_at);
    }
    s->learn();
    s->ask_plan();
    s->tell_pull_back_off();
    s->publish();
    s->tell_back_off();
    if (s->plan.stage == Plan::Stage::gone) {
      s->forget_probed();
      s->has_done(pass, "terminated");
      co_return Result<>();
    }
    if (s->plan.steps.empty()) {
      s->retry = Duration(0);
      s->has_done(pass, pass.why);
      KEELSON_CO_DO(co_await s->wait_for_change());
      continue;
    }
    auto outcome = co_await (s->carry_out(s->plan) || s->wait_interrupt());
    s->has_done(pass, pass.why);
    if (outcome.index() == 0 && !std::get<0>(outcome)) {
      const Error& error = std::get<0>(outcome).error();
      if (error.kind() == Kind::cancelled && !s->interrupted) {
        co_return std::unexpected(error);
      }
      log::warning("pod {}: {}", kube::full_name(s->pod.metadata), error.message());
      s->retry = std::clamp<Duration>(2 * s->retry, std::chrono::seconds(1), std::chrono::seconds(10));
      s->dirty = s->interrupted;
      s->ask_plan();
      s->publish();
      KEELSON_CO_DO(co_await s->wait_for_change());
    } else {
      s->retry = Duration(0);
    }
  }
}

void PodWorker::update(kube::Pod pod, bool objects) {
  auto ended = final_verdict(pod.status);
  kube::Pod& old = state_->pod;
  const kube::PodStatus before = old.status;
  take_conditions_of_others(old.status, pod.status);
  pod.status = old.status;
  old.metadata.resource_version = pod.metadata.resource_version;  // moves with every status that we say
  bool changed = pod != old || old.status != before;
  if (pod.spec.ephemeral_containers.size() != old.spec.ephemeral_containers.size() &&
      used_volumes(pod.spec) != used_volumes(old.spec)) {
    state_->memory.prepared = false;  // one that nobody had before
  }
  old = std::move(pod);
  changed = (objects && state_->retry_inputs()) || changed;
  if (ended) {
    fail_pod(*std::move(ended));
  }
  if (changed) {
    state_->poke("update");
  }
}

/// A ConfigMap may have come that the pod, or a container, waits for.
bool PodWorker::State::retry_inputs() {
  bool retried = false;
  if (memory.sandbox_trouble && memory.sandbox_trouble->reason == "FailedMount") {
    memory.sandbox_trouble->retry_at = {};
    retried = true;
  }
  for (auto& [name, known] : memory.containers) {
    if (known.trouble && known.trouble->reason == "CreateContainerConfigError") {
      known.trouble->retry_at = {};
      retried = true;
    }
  }
  return retried;
}

void PodWorker::remove(std::optional<int64_t> grace) {
  PodMemory& memory = state_->memory;
  bool first = !memory.removed;
  int64_t now = memory.grace.value_or(state_->pod.spec.termination_grace_period_seconds);
  bool shorter = grace && std::max<int64_t>(*grace, 1) < now;
  if (grace && (first || shorter)) {
    memory.grace = std::max<int64_t>(*grace, 1);
  }
  memory.removed = true;
  if (first && state_->plan.stage == Plan::Stage::sync) {
    state_->stop_current("kill");
  } else if (shorter) {
    state_->stop_current("kill");
  } else {
    state_->poke(first ? "kill" : "update");
  }
}

void PodWorker::poke() {
  state_->poke();
}
const kube::Pod& PodWorker::pod() const {
  return state_->pod;
}
const Timeline& PodWorker::timeline() const {
  return state_->timeline;
}
const ObservedPod& PodWorker::observed() const {
  return state_->observed;
}
bool PodWorker::removed() const {
  return state_->memory.removed;
}

bool PodWorker::has_ended() const {
  return final_verdict(state_->pod.status).has_value();
}

bool PodWorker::is_failed() const {
  return state_->memory.verdict || has_ended();
}

bool PodWorker::is_orphan() const {
  return state_->memory.orphan;
}

Plan::Stage PodWorker::stage() const {
  return state_->plan.stage;
}

}  // namespace keelson::agent
