// SPDX-License-Identifier: Apache-2.0
// For tests: pods and instances in few words, as plan() and make_status() see them.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "agent/plan_parts.h"
#include "agent/pod_status.h"
#include "agent/testing.h"

namespace keelson::agent::testing {

inline const WallTime kNow{std::chrono::seconds(1'700'000'000)};

inline kube::Container container(const std::string& name) {
  kube::Container c;
  c.name = name;
  c.image = "img:" + name;
  return c;
}

/// Names that begin with "side" are sidecars.
inline kube::Pod pod_of(const std::vector<std::string>& inits, const std::vector<std::string>& mains,
                        kube::RestartPolicy policy = kube::RestartPolicy::always) {
  kube::Pod pod;
  pod.metadata = {.name = "web", .ns = "default", .uid = "u1"};
  pod.spec.restart_policy = policy;
  for (const auto& name : inits) {
    auto c = container(name);
    if (name.starts_with("side")) {
      c.restart_policy = kube::RestartPolicy::always;
    }
    pod.spec.init_containers.push_back(c);
  }
  for (const auto& name : mains) {
    pod.spec.containers.push_back(container(name));
  }
  return pod;
}

inline ObservedContainer instance(const std::string& name, RunState state, int exit_code = 0, uint32_t attempt = 0) {
  ObservedContainer c{.id = fmt::format("{}-{}", name, attempt),
                      .sandbox_id = "s0",
                      .name = name,
                      .attempt = attempt,
                      .state = state,
                      .exit_code = exit_code,
                      .spec_hash = spec_hash(container(name))};
  c.created_at = kNow - std::chrono::seconds(30);
  c.started_at = kNow - std::chrono::seconds(30);
  if (state == RunState::exited) {
    c.finished_at = kNow - std::chrono::seconds(1);
  }
  return c;
}

/// A pod, what there is of it, and what is known: asked for the next steps, and for its status.
struct World {
  kube::Pod pod;
  ObservedPod observed;
  PodMemory memory;

  World(kube::Pod p, std::vector<ObservedContainer> containers) : pod(std::move(p)) {
    observed.sandboxes.push_back({.id = "s0", .ready = true, .ips = {"10.0.0.2"}});
    observed.containers = std::move(containers);
    memory.prepared = true;
    memory.start_time = kNow - std::chrono::seconds(60);
    for (const auto& c : observed.containers) {
      memory.containers.try_emplace(c.name, ContainerMemory{.id = c.id, .started = true, .ready = true});
    }
  }
  Plan ask(WallTime now = kNow) const { return plan(pod, observed, memory, now, {}); }
  std::string steps(WallTime now = kNow) const { return print(ask(now)); }
  kube::PodStatus status(const kube::PodStatus& previous = {}) const {
    Plan p = ask();
    return make_status({pod, observed, memory, p, previous}, {.ips = {"192.0.2.1"}}, kNow);
  }
};

}  // namespace keelson::agent::testing
