// SPDX-License-Identifier: Apache-2.0
// Starting a pod: volumes, sandbox; a container: create, start, postStart; and changing its resources while it runs.
#include <fmt/format.h>

#include <algorithm>

#include "agent/config/resources.h"
#include "agent/config/volumes.h"
#include "agent/plan_parts.h"
#include "agent/pod_worker_state.h"

namespace keelson::agent {

namespace {

// The kubelet gives postStart no limit; a hook that hangs would hold this pod's worker for ever.
constexpr auto kPostStartLimit = std::chrono::minutes(10);

}  // namespace

Task<> PodWorker::State::prepare() {
  const auto volumes = used_volumes(pod.spec);
  timeline.enter("mounts");
  auto done = co_await shared.runtime.prepare(pod);
  timeline.leave();
  // It was refused, and has been told so; or it ends before it has begun, and fails at nothing.
  if (!done && (memory.verdict || done.error().kind() == Kind::cancelled)) {
    co_return std::unexpected(std::move(done).error());
  }
  if (!done) {
    record({}, EventType::warning, "FailedMount", done.error().message());
    Duration delay = shared.times.sandbox_retry;
    if (memory.sandbox_trouble) {
      delay = std::min(2 * memory.sandbox_trouble->delay, shared.times.create_retry);
    }
    memory.sandbox_trouble = StartTrouble{"FailedMount", done.error().message(), now() + delay, delay};
    co_return std::unexpected(std::move(done).error());
  }
  memory.prepared = used_volumes(pod.spec) == volumes;  // an ephemeral container may have come meanwhile
  memory.own_cpus = shared.runtime.own_cpus(pod);
  memory.sandbox_trouble.reset();
  co_return Result<>();
}

/// What the container is to have of CPU and memory.
ObservedResources PodWorker::State::resources_of(const kube::Container& container) const {
  return resources_for(pod, container, quotas_of(container.name, memory, shared.times.quotas));
}

/// A pod without the node's network waits for one of its own, and looks each second.
Task<> PodWorker::State::await_network() {
  if (pod.spec.host_network) {
    co_return Result<>();
  }
  KEELSON_CO_TRY(const auto lacking, co_await shared.network.trouble());
  if (lacking.empty()) {
    co_return Result<>();
  }
  auto message = "network is not ready: " + lacking;
  record({}, EventType::warning, "NetworkNotReady", message);
  const Duration delay = shared.times.sandbox_retry;
  memory.sandbox_trouble = StartTrouble{"NetworkNotReady", message, now() + delay, delay};
  co_return fail(Kind::unavailable, "{}", message);
}

Task<> PodWorker::State::create_sandbox(uint32_t attempt) {
  KEELSON_CO_DO(co_await await_network());
  if (attempt > 0) {
    record({}, EventType::normal, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
  }
  for (auto& warning : shared.runtime.warnings(pod)) {
    record({}, EventType::warning, warning.reason, std::move(warning.message));
  }
  shared.stats.sandbox_tried();
  starts_users = !pod.spec.host_users.value_or(true);
  if (starts_users) {
    shared.stats.own_users_tried();
  }
  timeline.enter("sandbox");
  auto id = co_await shared.runtime.create_sandbox(pod, attempt);
  timeline.leave();
  if (!id && id.error().kind() == Kind::cancelled) {
    co_return std::unexpected(std::move(id).error());
  }
  if (!id) {
    shared.stats.sandbox_failed();
    record({}, EventType::warning, "FailedCreatePodSandBox", "Failed to create pod sandbox: " + id.error().message());
    Duration delay = shared.times.sandbox_retry;
    if (memory.sandbox_trouble) {
      delay = std::min(2 * memory.sandbox_trouble->delay, shared.times.create_retry);
    }
    memory.sandbox_trouble = StartTrouble{"FailedCreatePodSandBox", id.error().message(), now() + delay, delay};
    co_return std::unexpected(std::move(id).error());
  }
  memory.sandbox_trouble.reset();
  co_return Result<>();
}

void PodWorker::State::set_trouble(const std::string& name, std::string reason, std::string message, Duration delay,
                                   std::string image) {
  shared.stats.container_failed(container_type(name), reason);
  memory.containers[name].trouble =
      StartTrouble{std::move(reason), std::move(message), now() + delay, delay, std::move(image)};
  publish();
}

/// The container that an ephemeral one looks at; one that does not run is nobody's id, which is refused by name.
std::string PodWorker::State::target_of(const std::string& name) const {
  auto it = std::ranges::find(pod.spec.ephemeral_containers, name,
                              [](const auto& ephemeral) { return ephemeral.container.name; });
  if (it == pod.spec.ephemeral_containers.end() || it->target_container_name.empty()) {
    return "";
  }
  const ObservedContainer* target = observed.newest(it->target_container_name);
  return target != nullptr && target->state == RunState::running ? target->id : it->target_container_name;
}

Task<> PodWorker::State::start_container(Step step) {
  const kube::Container* found = kube::find_container(pod.spec, step.name);
  if (found == nullptr) {
    co_return Result<>();
  }
  kube::Container container = *found;
  shared.stats.container_tried(container_type(step.name));
  if (observed.newest(step.name) == nullptr) {
    step.attempt = std::max(step.attempt, shared.runtime.logged_attempts(pod, step.name));
  }
  timeline.enter("pull", step.name);
  auto volumes = co_await provide_image_volumes(container, step.id);
  Result<std::string> image;
  if (volumes) {
    image = co_await provide_image({.reference = container.image,
                                    .policy = container.image_pull_policy,
                                    .container = container.name,
                                    .subject = container.name});
  }
  timeline.leave();
  if (!volumes || !image) {
    co_return std::unexpected(volumes ? std::move(image).error() : std::move(volumes).error());
  }
  timeline.enter("create", step.name);
  const ObservedSandbox* sandbox = observed.ready_sandbox();
  ContainerOrder order{.pod = pod,
                       .name = step.name,
                       .sandbox_id = step.id,
                       .pod_ips = sandbox == nullptr || sandbox->ips.empty() ? shared.node.ips : sandbox->ips,
                       .image_ref = *image,
                       .attempt = step.attempt,
                       .restart_delay = step.delay,
                       .image_volumes = *volumes,
                       .target_id = target_of(step.name)};
  auto id = co_await shared.runtime.create_container(std::move(order));
  shared.stats.image_volumes(volumes->size(), !id && id.error().message().starts_with("ImageVolumeMountFailed"));
  if (!id) {
    timeline.leave();
    bool config = id.error().kind() == Kind::invalid;
    record(step.name, EventType::warning, "Failed", "Error: " + id.error().message());
    set_trouble(step.name, config ? "CreateContainerConfigError" : "CreateContainerError", id.error().message(),
                shared.times.create_retry);
    co_return std::unexpected(std::move(id).error());
  }
  record(step.name, EventType::normal, "Created", fmt::format("Created container: {}", step.name));
  bool hook = container.lifecycle && container.lifecycle->post_start;
  memory.containers[step.name] =
      ContainerMemory{.id = *id, .post_start_pending = hook, .given = resources_of(container)};
  timeline.enter("start", step.name);
  auto started = co_await shared.runtime.start_container(*id);
  timeline.leave();
  if (!started) {
    record(step.name, EventType::warning, "Failed", "Error: " + started.error().message());
    set_trouble(step.name, "RunContainerError", started.error().message(),
                std::max(step.delay, shared.times.create_retry));
    co_return std::unexpected(std::move(started).error());
  }
  record(step.name, EventType::normal, "Started", fmt::format("Started container {}", step.name));
  if (hook) {
    co_return co_await post_start(std::move(container), *std::move(id));
  }
  co_return Result<>();
}

Task<> PodWorker::State::resize_container(Step step) {
  const kube::Container* found = kube::find_container(pod.spec, step.name);
  if (found == nullptr) {
    co_return Result<>();
  }
  const ObservedResources wanted = resources_of(*found);
  const SteadyTime begin = shared.loop.clock().steady();
  auto done = co_await shared.runtime.resize_container(pod, step.name, step.id);
  shared.stats.resized(done.has_value(), shared.loop.clock().steady() - begin);
  if (ContainerMemory& known = memory.containers[step.name]; known.id == step.id) {
    known.resize_error = done ? "" : done.error().message();
    if (done) {
      known.given = wanted;
    }
  }
  co_return done;
}

Task<> PodWorker::State::post_start(kube::Container container, std::string id) {
  timeline.enter("postStart", container.name);
  auto done = co_await call_hook(*container.lifecycle->post_start, container, id, kPostStartLimit);
  timeline.leave();
  ContainerMemory& known = memory.containers[container.name];
  if (!done && known.id == id) {
    shared.stats.container_failed(container_type(container.name), "PostStartHookError");
    const auto& meta = pod.metadata;
    record(container.name, EventType::warning, "FailedPostStartHook", "PostStartHook failed");
    known.condemned = Condemned{.message = "FailedPostStartHook"};
    known.post_start_error = fmt::format("PostStart hook of container \"{}\" in pod \"{}_{}({})\" failed - error: {}",
                                         container.name, meta.name, meta.ns, meta.uid, done.error().message());
  }
  known.post_start_pending = false;
  co_return Result<>();
}

}  // namespace keelson::agent
