// SPDX-License-Identifier: Apache-2.0
// Init containers: in order, each to success; sidecars stay. Progress is read from the last one begun.
#include "agent/plan_parts.h"

namespace keelson::agent {

const ObservedContainer* instance_in_newest(const ObservedPod& observed, std::string_view name) {
  if (observed.sandboxes.empty()) {
    return nullptr;
  }
  auto it = std::ranges::find_if(observed.containers, [&](const auto& c) {
    return c.name == name && c.sandbox_id == observed.sandboxes.front().id;
  });
  return it == observed.containers.end() ? nullptr : &*it;
}

const ContainerMemory* memory_of(const PodMemory& memory, const ObservedContainer& instance) {
  auto it = memory.containers.find(instance.name);
  return it == memory.containers.end() || it->second.id != instance.id ? nullptr : &it->second;
}

namespace {

bool has_begun(const ObservedContainer* instance) {
  return instance != nullptr && instance->state != RunState::created;
}

/// One sidecar: true if it does not bar the way.
bool pass_sidecar(const kube::Container& container, const ObservedContainer* instance, const PodMemory& memory,
                  InitProgress& progress) {
  if (instance == nullptr || instance->state != RunState::running) {
    progress.starts.push_back(&container);
    return false;
  }
  const ContainerMemory* known = memory_of(memory, *instance);
  return known != nullptr && known->started && !known->post_start_pending;
}

/// One regular init container: true if it has succeeded.
bool pass_regular(const kube::Container& container, const ObservedContainer* instance, InitProgress& progress) {
  if (!has_begun(instance) || instance->state == RunState::unknown) {
    progress.starts.push_back(&container);
    return false;
  }
  if (instance->state == RunState::running) {
    return false;
  }
  if (instance->exit_code != 0) {
    progress.failed = instance;
    progress.starts.push_back(&container);
    return false;
  }
  return true;
}

}  // namespace

InitProgress init_progress(const kube::Pod& pod, const ObservedPod& observed, const PodMemory& memory) {
  InitProgress progress;
  const auto& inits = pod.spec.init_containers;
  bool mains_began = std::ranges::any_of(pod.spec.containers, [&](const auto& container) {
    return has_begun(instance_in_newest(observed, container.name));
  });
  size_t last = 0;  // one behind the last that has begun
  for (size_t i = 0; i < inits.size(); ++i) {
    if (has_begun(instance_in_newest(observed, inits[i].name))) {
      last = i + 1;
    }
  }
  for (size_t i = 0; i < inits.size(); ++i) {
    const auto& container = inits[i];
    bool behind = mains_began || i + 1 < last;
    const ObservedContainer* instance = instance_in_newest(observed, container.name);
    bool passed = true;
    if (container.is_sidecar()) {
      passed = pass_sidecar(container, instance, memory, progress) || behind;
    } else if (!behind) {
      passed = pass_regular(container, instance, progress);
    }
    if (!passed) {
      for (size_t rest = i; rest < inits.size(); ++rest) {
        progress.incomplete.push_back(&inits[rest]);
      }
      return progress;
    }
  }
  progress.done = true;
  return progress;
}

bool is_initialized(const kube::Pod& pod, const ObservedPod& observed, const PodMemory& memory) {
  return init_progress(pod, observed, memory).done;
}

}  // namespace keelson::agent
