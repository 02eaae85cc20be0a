// SPDX-License-Identifier: Apache-2.0
// Ending a pod for the node, and a container: out of the services first, then preStop, SIGTERM, SIGKILL, all within one
// grace.
#include <fmt/format.h>

#include "agent/hooks.h"
#include "agent/pod_worker_state.h"
#include "common/log.h"

namespace keelson::agent {

namespace {

using namespace asio::experimental::awaitable_operators;

// What is left for SIGTERM when preStop has used up the grace (kubelet minimumGracePeriodInSeconds).
constexpr auto kMinimumStop = std::chrono::seconds(2);
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

Task<> PodWorker::State::kill_container(Step step) {
  const kube::Container* found = kube::find_container(pod.spec, step.name);
  if (!memory.orphan) {
    record(step.name, EventType::normal, "Killing", step.message);
  }
  if (const auto known = memory.containers.find(step.name); known != memory.containers.end() && step.again) {
    known->second.again = known->second.id == step.id;
  }
  Duration left = step.grace;
  bool hook = found != nullptr && found->lifecycle && found->lifecycle->pre_stop && step.grace > Duration(0);
  if (hook && pre_stopped.insert(step.id).second) {
    const ObservedSandbox* sandbox = observed.ready_sandbox();
    HookCall call{.handler = *found->lifecycle->pre_stop,
                  .container = *found,
                  .id = step.id,
                  .pod_ip = sandbox == nullptr || sandbox->ips.empty() ? "" : sandbox->ips.front(),
                  .limit = step.grace};
    SteadyTime begin = shared.loop.clock().steady();
    auto done = co_await run_hook(shared.loop, shared.runtime, std::move(call));
    if (!done && done.error().kind() != Kind::cancelled) {
      record(step.name, EventType::warning, "FailedPreStopHook", "PreStopHook failed");
    }
    left = std::max<Duration>(step.grace - (shared.loop.clock().steady() - begin), kMinimumStop);
  }
  co_return co_await shared.runtime.stop_container(step.id, left);
}

Task<> PodWorker::State::kill_all(std::vector<Step> steps, size_t from) {
  Step first = steps[from];
  if (from + 1 == steps.size()) {
    co_return co_await kill_container(std::move(first));
  }
  auto [one, others] = co_await (kill_container(std::move(first)) && kill_all(std::move(steps), from + 1));
  co_return one ? std::move(others) : std::move(one);
}

void PodWorker::fail_pod(Verdict verdict, std::optional<int64_t> grace) {
  PodMemory& memory = state_->memory;
  if (memory.verdict) {
    return;
  }
  memory.verdict = std::move(verdict);
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
