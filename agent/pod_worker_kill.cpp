// SPDX-License-Identifier: Apache-2.0
// Ending a pod for the node, and a container: out of the services first, then preStop, SIGTERM, SIGKILL, all within one
// grace.
#include "agent/hooks.h"
#include "agent/pod_worker_state.h"
#include "common/log.h"

namespace keelson::agent {

namespace {

using namespace asio::experimental::awaitable_operators;

// Between SIGTERM and SIGKILL, whatever the grace (kubelet minimumGracePeriodInSeconds).
constexpr auto kMinimumStop = std::chrono::seconds(2);
constexpr auto kLeastOverdue = std::chrono::seconds(10);
constexpr auto kLeaveLimit = std::chrono::seconds(2);

}  // namespace

/// For good once a pod. Without an answer it goes on: what ends does not wait for what is not its own.
Task<> PodWorker::State::leave_services(bool for_good) {
  if (has_left || !shared.leave_services || memory.orphan) {
    co_return Result<>();
  }
  auto left = co_await with_deadline<void>(shared.loop, kLeaveLimit, shared.leave_services(pod, for_good));
  if (!left && left.error().kind() == Kind::cancelled) {
    co_return std::unexpected(std::move(left).error());
  }
  if (!left) {
    log::warning("pod {}: {} ends while services may still send to it: {}", kube::full_name(pod.metadata),
                 for_good ? "it" : "a container of it", left.error().message());
  }
  has_left = for_good;
  co_return Result<>();
}

Task<> PodWorker::State::call_hook(kube::LifecycleHandler handler, kube::Container container, std::string id,
                                   Duration limit) {
  const ObservedSandbox* sandbox = observed.ready_sandbox();
  HookCall call{.handler = std::move(handler),
                .container = std::move(container),
                .id = std::move(id),
                .pod_ip = sandbox == nullptr || sandbox->ips.empty() ? "" : sandbox->ips.front(),
                .limit = limit,
                .fell_back =
                    [weak = weak_from_this(), &stats = shared.stats](std::string text) {
                      stats.hook_fell_back();
                      if (auto self = weak.lock()) {
                        self->record({}, EventType::warning, "LifecycleHTTPFallback", std::move(text));
                      }
                    },
                .cut_short = [&stats = shared.stats] { stats.pause_cut_short(); }};
  return run_hook(shared.loop, shared.runtime, std::move(call));
}

/// A hook that fails, or takes longer than there is time, is told, and the container is stopped all the same.
Task<> PodWorker::State::pre_stop(kube::Container container, Step step) {
  auto done = co_await call_hook(*container.lifecycle->pre_stop, container, step.id, step.grace);
  if (!done && done.error().kind() != Kind::cancelled) {
    record(step.name, EventType::warning, "FailedPreStopHook", "PreStopHook failed");
  }
  co_return Result<>();
}

Task<> PodWorker::State::wait_stopped(std::vector<std::string> ids) {
  while (!std::ranges::all_of(ids, [&](const auto& id) { return stopped.contains(id); })) {
    co_await one_stopped.async_wait(use_result);
  }
  co_return Result<>();
}

/// preStop begins at once; SIGTERM waits for those that are to end before, as long as there is grace.
Task<> PodWorker::State::kill_container(Step step) {
  const kube::Container* found = kube::find_container(pod.spec, step.name);
  if (!memory.orphan) {
    record(step.name, EventType::normal, "Killing", step.message);
  }
  if (auto known = memory.containers.find(step.name); known != memory.containers.end() && known->second.id == step.id) {
    known->second.restarts = step.restarts;
  }
  const SteadyTime end = shared.loop.clock().steady() + step.grace;
  const auto left = [&] { return end - shared.loop.clock().steady(); };
  const bool hook = found != nullptr && found->lifecycle && found->lifecycle->pre_stop && step.grace > Duration(0);
  if (hook && pre_stopped.insert(step.id).second) {
    KEELSON_CO_DO(co_await pre_stop(*found, step));
  }
  if (!step.after.empty() && left() > Duration(0)) {
    auto waited = co_await with_deadline<void>(shared.loop, left(), wait_stopped(step.after));
    if (!waited && waited.error().kind() == Kind::cancelled) {
      co_return std::unexpected(std::move(waited).error());
    }
  }
  KEELSON_CO_DO(co_await shared.runtime.stop_container(step.id, std::max<Duration>(left(), kMinimumStop)));
  stopped.insert(step.id);
  one_stopped.cancel();
  co_return Result<>();
}

Task<> PodWorker::State::kill_all(std::vector<Step> steps, size_t from) {
  Step first = steps[from];
  if (from + 1 == steps.size()) {
    co_return co_await kill_container(std::move(first));
  }
  auto [one, others] = co_await (kill_container(std::move(first)) && kill_all(std::move(steps), from + 1));
  co_return one ? std::move(others) : std::move(one);
}

/// Never ends by itself: who waits for the containers' end as well takes it away.
Task<> PodWorker::State::tell_overdue() {
  while (overdue) {
    KEELSON_CO_DO(co_await shared.loop.sleep(std::max(*overdue - shared.loop.clock().steady(), Duration(0))));
    overdue.reset();
    record({}, EventType::warning, "ExceededGracePeriod",
           "Container runtime did not kill the pod within specified grace period.");
  }
  co_return co_await wait_interrupt();
}

void PodWorker::State::tell_failed_kill(const Error& error) {
  if (error.kind() != Kind::cancelled && !memory.orphan) {
    record({}, EventType::warning, "FailedKillPod", "error killing pod: " + error.message());
  }
}

/// Of a pod that ends.
Task<> PodWorker::State::end_containers(std::vector<Step> kills) {
  KEELSON_CO_DO(co_await leave_services(true));
  auto outcome = co_await (kill_all(std::move(kills), 0) || tell_overdue());
  Result<> killed = outcome.index() == 0 ? std::get<0>(std::move(outcome)) : std::get<1>(std::move(outcome));
  if (!killed) {
    tell_failed_kill(killed.error());
  }
  co_return killed;
}

void PodWorker::fail_pod(Verdict verdict, std::optional<int64_t> grace) {
  PodMemory& memory = state_->memory;
  if (memory.verdict) {
    return;
  }
  memory.verdict = std::move(verdict);
  const Duration allowed = std::chrono::seconds(grace.value_or(state_->pod.spec.termination_grace_period_seconds));
  state_->overdue = state_->shared.loop.clock().steady() + std::max<Duration>(allowed + allowed / 2, kLeastOverdue);
  if (grace) {
    const int64_t now = memory.grace.value_or(state_->pod.spec.termination_grace_period_seconds);
    memory.grace = std::min(now, std::max<int64_t>(*grace, 1));
  }
  state_->stop_current("kill");
}

void PodWorker::free_dead() {
  if (!std::exchange(state_->memory.free_dead, true)) {
    state_->poke();
  }
}

}  // namespace keelson::agent
