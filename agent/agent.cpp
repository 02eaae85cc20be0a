// SPDX-License-Identifier: Apache-2.0
// Workers made, told and ended.
#include "agent/agent.h"

#include "agent/agent_state.h"
#include "agent/critical_pod.h"

namespace keelson::agent {

using namespace asio::experimental::awaitable_operators;

namespace {

std::unexpected<Error> fail_pod_not_found(std::string_view name) {
  return fail(Kind::not_found, "pods \"{}\" not found", name);
}

/// Of a coroutine that may be taken away at any time, even after the agent.
class InRun {
 public:
  explicit InRun(std::shared_ptr<bool> flag) : flag_(std::move(flag)) { *flag_ = true; }
  ~InRun() { *flag_ = false; }
  InRun(const InRun&) = delete;
  InRun& operator=(const InRun&) = delete;

 private:
  std::shared_ptr<bool> flag_;
};

}  // namespace

Agent::Agent(Loop& loop, AgentOptions options, PodRuntime& runtime, ContainerProbes* probes)
    : state_(std::make_unique<State>(loop, std::move(options), runtime, probes)) {}

Agent::~Agent() = default;

Task<> Agent::run() {
  State& s = *state_;
  const InRun in_run(s.in_run);
  std::optional<kube::FolderSource> source;
  if (!s.options.manifest_dir.empty()) {
    source.emplace(s.loop, s.options.manifest_dir, [&s](kube::DesiredState state) {
      kube::add_overheads(state);
      s.desired(std::move(state));
    });
    s.tasks.spawn("manifests", source->run());
  }
  s.tasks.spawn("orphans", s.seek_orphans());
  while (!s.ended) {
    if (auto waited = co_await s.wait_changed(); !waited) {
      break;
    }
  }
  KEELSON_CO_DO(co_await s.tasks.close());
  KEELSON_CO_DO(co_await s.workers.close());
  *s.in_run = false;
  s.changed.cancel();
  co_return Result<>();
}

Task<> Agent::stop(bool remove_pods) {
  State& s = *state_;
  s.stopping = true;
  Result<> outcome;
  if (remove_pods) {
    outcome = co_await s.remove_all();
  }
  s.ended = true;
  s.changed.cancel();
  // Whoever ends run() before it has waited for its workers takes away what they still use.
  while (*s.in_run) {
    KEELSON_CO_DO(co_await s.wait_changed());
  }
  co_return outcome;
}

void Agent::desired(kube::DesiredState state) {
  state_->desired(std::move(state));
}
void Agent::on_objects(std::function<void(const kube::DesiredState&)> listener) {
  state_->objects_listener = std::move(listener);
}
void Agent::on_status(std::function<void(const kube::Pod&, bool)> listener) {
  state_->status_listeners.push_back(std::move(listener));
}

void Agent::set_leave_services(std::function<Task<>(kube::Pod, bool)> leave) {
  state_->shared.leave_services = std::move(leave);
}

bool Agent::fail_pod(const std::string& uid, Verdict verdict, std::optional<int64_t> grace) {
  for (auto& [key, entry] : state_->pods) {
    if (entry.worker->pod().metadata.uid == uid && !entry.worker->is_orphan() && !entry.worker->is_failed()) {
      entry.worker->fail_pod(std::move(verdict), grace);
      return true;
    }
  }
  return false;
}

Task<bool> Agent::wait_ended(std::vector<std::string> uids, Duration limit) {
  State& s = *state_;
  const SteadyTime end = s.loop.clock().steady() + limit;
  const auto runs = [&uids](const auto& entry) {
    const PodWorker& worker = *entry.second.worker;
    return !worker.has_ended() && std::ranges::find(uids, worker.pod().metadata.uid) != uids.end();
  };
  while (std::ranges::any_of(s.pods, runs)) {
    const Duration left = end - s.loop.clock().steady();
    if (left <= Duration(0)) {
      co_return false;
    }
    auto waited = co_await (s.loop.sleep(left) || s.wait_changed());
    if (waited.index() == 0 && !std::get<0>(waited)) {
      co_return std::unexpected(std::get<0>(std::move(waited)).error());
    }
  }
  co_return true;
}

size_t Agent::free_dead() {
  size_t left = 0;
  if (!state_->options.manifest_dir.empty()) {
    return left;
  }
  for (auto& [key, entry] : state_->pods) {
    PodWorker& worker = *entry.worker;
    if (worker.has_ended() && !is_static(worker.pod())) {
      worker.free_dead();
      left += worker.observed().containers.empty() && worker.observed().sandboxes.empty() ? 0 : 1;
    }
  }
  return left;
}

void Agent::node_ips_are(std::vector<std::string> ips) {
  if (state_->shared.node.ips != ips) {
    state_->shared.node.ips = std::move(ips);
    runtime_changed("");
  }
}

void Agent::runtime_changed(const std::string& uid) {
  for (auto& [key, entry] : state_->pods) {
    if (uid.empty() || entry.worker->pod().metadata.uid == uid) {
      entry.worker->poke();
    }
  }
}

std::vector<kube::Pod> Agent::pods() const {
  std::vector<kube::Pod> found;
  for (const auto& [key, entry] : state_->pods) {
    if (!entry.worker->is_orphan()) {
      found.push_back(entry.worker->pod());
    }
  }
  return found;
}

Result<kube::Pod> Agent::find_pod(std::string_view ns, std::string_view name) const {
  const PodWorker* worker = state_->find(ns, name);
  if (worker == nullptr) {
    return fail_pod_not_found(name);
  }
  return worker->pod();
}

Result<ObservedPod> Agent::find_observed(std::string_view ns, std::string_view name) const {
  const PodWorker* worker = state_->find(ns, name);
  if (worker == nullptr) {
    return fail_pod_not_found(name);
  }
  return worker->observed();
}

Result<Timeline> Agent::find_timeline(std::string_view ns, std::string_view name) const {
  const PodWorker* worker = state_->find(ns, name);
  if (worker == nullptr) {
    return fail_pod_not_found(name);
  }
  return worker->timeline();
}

EventRecorder& Agent::events() {
  return state_->events;
}

}  // namespace keelson::agent
