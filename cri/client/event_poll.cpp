// SPDX-License-Identifier: Apache-2.0
// event_poll.h.
#include "cri/client/event_poll.h"

#include "cri/client/event_stream.h"

namespace keelson::cri {

namespace {

constexpr auto kPeriod = std::chrono::seconds(1);
constexpr auto kDeadline = std::chrono::minutes(2);

ContainerEventKind kind_of(ContainerState state) {
  switch (state) {
    case ContainerState::created:
      return ContainerEventKind::created;
    case ContainerState::running:
      return ContainerEventKind::started;
    case ContainerState::exited:
    case ContainerState::unknown:
      break;
  }
  return ContainerEventKind::stopped;
}

}  // namespace

std::vector<ContainerEvent> Relist::update(const std::vector<SandboxStatus>& sandboxes,
                                           const std::vector<ContainerStatus>& containers) {
  std::map<std::string, Seen> now;
  std::vector<ContainerEvent> events;
  auto look = [&](const std::string& id, int state, ContainerEventKind kind, const PodIdentity& pod) {
    now[id] = {state, pod};
    auto before = seen_.find(id);
    if (before == seen_.end() || before->second.state != state) {
      events.push_back({.kind = kind, .container_id = id, .pod = pod});
    }
  };
  for (const auto& sandbox : sandboxes) {
    look(sandbox.id, sandbox.ready ? 1 : 0, sandbox.ready ? ContainerEventKind::started : ContainerEventKind::stopped,
         sandbox.metadata);
  }
  for (const auto& container : containers) {
    auto sandbox = now.find(container.sandbox_id);
    look(container.id, static_cast<int>(container.state), kind_of(container.state),
         sandbox == now.end() ? PodIdentity{} : sandbox->second.pod);
  }
  for (const auto& [id, seen] : seen_) {
    if (!now.contains(id)) {
      events.push_back({.kind = ContainerEventKind::removed, .container_id = id, .pod = seen.pod});
    }
  }
  seen_ = std::move(now);
  if (std::exchange(first_, false)) {
    events.clear();
  }
  return events;
}

Task<> poll_events(Loop* loop, RuntimeClient* client, std::shared_ptr<Watch> watch) {
  Relist relist;
  while (!watch->closed) {
    auto sandboxes = co_await client->list_pod_sandboxes({}, kDeadline);
    if (watch->closed) {
      break;
    }
    auto containers = co_await client->list_containers({}, kDeadline);
    if (watch->closed) {
      break;
    }
    if (sandboxes && containers) {
      for (auto& event : relist.update(*sandboxes, *containers)) {
        watch->handle(std::move(event));
      }
    }
    KEELSON_CO_DO(co_await loop->sleep(kPeriod));
  }
  co_return Result<>();
}

}  // namespace keelson::cri
