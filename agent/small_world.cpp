// SPDX-License-Identifier: Apache-2.0
// The small world's rules: CRI's own, in a few lines each.
#include "agent/small_world.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/config/resources.h"

namespace keelson::agent {

Task<> SmallWorld::enter(std::string call, std::string uid) {
  calls.push_back(call);
  KEELSON_CO_DO(before_call(call));
  if (hung.contains(uid)) {
    KEELSON_CO_DO(co_await loop_.sleep(std::chrono::hours(1000)));
  }
  co_return Result<>();
}

std::string SmallWorld::uid_of(const ObservedContainer& container) const {
  auto it = sandboxes.find(container.sandbox_id);
  return it == sandboxes.end() ? "" : it->second.pod.uid;
}

std::string SmallWorld::running(std::string_view name) const {
  auto it = std::ranges::find_if(
      containers, [&](const auto& c) { return c.second.name == name && c.second.state == RunState::running; });
  return it == containers.end() ? "" : it->first;
}

void SmallWorld::exit_container(const std::string& id, int code) {
  auto it = containers.find(id);
  if (it == containers.end() || it->second.state != RunState::running) {
    return;
  }
  it->second.state = RunState::exited;
  it->second.exit_code = code;
  it->second.reason = code == 0 ? "Completed" : "Error";
  it->second.finished_at = loop_.clock().wall();
  changed(uid_of(it->second));
}

void SmallWorld::lose_sandbox(const std::string& id) {
  sandboxes.at(id).seen.ready = false;
  std::vector<std::string> inside;
  for (const auto& [container, seen] : containers) {
    if (seen.sandbox_id == id) {
      inside.push_back(container);
    }
  }
  for (const auto& container : inside) {
    exit_container(container, 137);
  }
  changed(sandboxes.at(id).pod.uid);
}

Task<std::vector<kube::ObjectMeta>> SmallWorld::list_pods() {
  KEELSON_CO_DO(co_await enter("list_pods"));
  std::map<std::string, kube::ObjectMeta> found;
  for (const auto& [id, sandbox] : sandboxes) {
    found.emplace(sandbox.pod.uid, sandbox.pod);
  }
  for (const auto& uid : prepared) {
    kube::ObjectMeta meta;
    meta.uid = uid;
    found.emplace(uid, meta);
  }
  std::vector<kube::ObjectMeta> list;
  for (auto& [uid, meta] : found) {
    list.push_back(meta);
  }
  co_return list;
}

Task<ObservedPod> SmallWorld::observe(std::string uid) {
  KEELSON_CO_DO(co_await enter("observe", uid));
  ObservedPod found;
  for (const auto& [id, sandbox] : sandboxes) {
    if (sandbox.pod.uid == uid) {
      found.sandboxes.push_back(sandbox.seen);
    }
  }
  for (const auto& [id, container] : containers) {
    if (uid_of(container) == uid) {
      found.containers.push_back(container);
    }
  }
  std::ranges::sort(found.sandboxes, std::greater(), &ObservedSandbox::attempt);
  std::ranges::sort(found.containers, std::greater(), [](const auto& c) { return std::pair(c.attempt, c.created_at); });
  co_return found;
}

Task<> SmallWorld::prepare(kube::Pod pod) {
  KEELSON_CO_DO(co_await enter("prepare", pod.metadata.uid));
  prepared.insert(pod.metadata.uid);
  co_return Result<>();
}

Task<> SmallWorld::release(kube::Pod pod) {
  co_return co_await enter("release", pod.metadata.uid);
}

Task<> SmallWorld::clean_up(kube::Pod pod) {
  KEELSON_CO_DO(co_await enter("clean_up", pod.metadata.uid));
  prepared.erase(pod.metadata.uid);
  co_return Result<>();
}

Task<std::string> SmallWorld::network_trouble() {
  co_return network_lacks;
}

std::set<std::string> SmallWorld::own_cpus(const kube::Pod& pod) {
  return prepared.contains(pod.metadata.uid) ? own : std::set<std::string>();
}

CpuQuotas SmallWorld::quotas_of(const std::string& container) const {
  return {.enforced = !own.contains(container)};
}

std::vector<PodWarning> SmallWorld::warnings(const kube::Pod&) {
  return odd;
}

Task<std::string> SmallWorld::create_sandbox(kube::Pod pod, uint32_t attempt) {
  KEELSON_CO_DO(co_await enter("create_sandbox", pod.metadata.uid));
  for (const auto& [id, sandbox] : sandboxes) {
    if (sandbox.pod.uid == pod.metadata.uid && sandbox.seen.attempt == attempt) {
      co_return fail(Kind::exists, "sandbox {} attempt {} exists", pod.metadata.name, attempt);
    }
  }
  auto id = fmt::format("s{}", ++next_);
  sandboxes[id] = {pod.metadata,
                   {.id = id,
                    .attempt = attempt,
                    .ready = true,
                    .created_at = loop_.clock().wall(),
                    .ips = {fmt::format("10.0.0.{}", next_ % 250)}}};
  co_return id;
}

Task<> SmallWorld::stop_sandbox(std::string id) {
  KEELSON_CO_DO(co_await enter("stop_sandbox", sandboxes.contains(id) ? sandboxes.at(id).pod.uid : ""));
  if (sandboxes.contains(id)) {
    lose_sandbox(id);
  }
  co_return Result<>();
}

Task<> SmallWorld::remove_sandbox(std::string id) {
  KEELSON_CO_DO(co_await enter("remove_sandbox"));
  std::erase_if(containers, [&](const auto& c) { return c.second.sandbox_id == id; });
  sandboxes.erase(id);
  co_return Result<>();
}

Task<std::string> SmallWorld::find_image(std::string image) {
  KEELSON_CO_DO(co_await enter("find_image"));
  constexpr std::string_view kRef = "sha256:";
  const std::string name = image.starts_with(kRef) ? image.substr(kRef.size()) : image;
  co_return images.contains(name) ? std::string(kRef) + name : "";
}

Task<PulledImage> SmallWorld::pull_image(kube::Pod pod, std::string image) {
  KEELSON_CO_DO(co_await enter("pull_image", pod.metadata.uid));
  if (image.starts_with("missing")) {
    co_return fail(Kind::not_found, "{}: not found", image);
  }
  if (const Duration time = pull_waits + pull_takes; time > Duration(0)) {
    KEELSON_CO_DO(co_await loop_.sleep(time));
  }
  images.insert(image);
  co_return PulledImage{.ref = "sha256:" + image, .size = 1000, .waited = pull_waits};
}

Task<std::string> SmallWorld::create_container(ContainerOrder order) {
  KEELSON_CO_DO(co_await enter("create_container " + order.name, order.pod.metadata.uid));
  auto sandbox = sandboxes.find(order.sandbox_id);
  if (sandbox == sandboxes.end() || !sandbox->second.seen.ready) {
    co_return fail(Kind::conflict, "sandbox {} is not ready", order.sandbox_id);
  }
  for (const auto& [id, container] : containers) {
    if (container.name == order.name && container.attempt == order.attempt &&
        container.sandbox_id == order.sandbox_id) {
      co_return fail(Kind::exists, "container {} attempt {} exists", order.name, order.attempt);
    }
  }
  image_volumes = order.image_volumes;
  auto id = fmt::format("c{}", ++next_);
  containers[id] = {
      .id = id,
      .sandbox_id = order.sandbox_id,
      .name = order.name,
      .attempt = order.attempt,
      .state = RunState::created,
      .created_at = loop_.clock().wall(),
      .image_ref = order.image_ref,
      .spec_hash = spec_hash(*kube::find_container(order.pod.spec, order.name)),
      .restart_delay = order.restart_delay,
      .resources = resources_for(order.pod, *kube::find_container(order.pod.spec, order.name), quotas_of(order.name))};
  co_return id;
}

uint32_t SmallWorld::logged_attempts(const kube::Pod&, const std::string& container) {
  auto it = logged.find(container);
  return it == logged.end() ? 0 : it->second;
}

Task<> SmallWorld::start_container(std::string id) {
  auto it = containers.find(id);
  if (it == containers.end()) {
    co_return fail(Kind::not_found, "container {}", id);
  }
  KEELSON_CO_DO(co_await enter("start_container " + it->second.name, uid_of(it->second)));
  ObservedContainer& container = containers.at(id);
  container.state = RunState::running;
  container.started_at = loop_.clock().wall();
  changed(uid_of(container));
  if (auto exit = exits_with.find(container.name); exit != exits_with.end()) {
    exit_container(id, exit->second);
  }
  co_return Result<>();
}

Task<> SmallWorld::resize_container(kube::Pod pod, std::string name, std::string id) {
  KEELSON_CO_DO(co_await enter("resize_container " + name, pod.metadata.uid));
  auto it = containers.find(id);
  const kube::Container* container = kube::find_container(pod.spec, name);
  if (it == containers.end() || container == nullptr) {
    co_return fail(Kind::not_found, "container {}", id);
  }
  it->second.resources = resources_for(pod, *container, quotas_of(name));
  co_return Result<>();
}

Task<> SmallWorld::stop_container(std::string id, Duration grace) {
  KEELSON_CO_DO(
      co_await enter(fmt::format("stop_container {} {}", containers.contains(id) ? containers.at(id).name : id,
                                 grace / std::chrono::seconds(1)),
                     containers.contains(id) ? uid_of(containers.at(id)) : ""));
  if (stop_takes > Duration(0)) {
    KEELSON_CO_DO(co_await loop_.sleep(std::min(stop_takes, grace)));
  }
  exit_container(id, stop_takes >= grace && grace > Duration(0) ? 137 : 143);
  co_return Result<>();
}

Task<> SmallWorld::remove_container(std::string id, bool) {
  KEELSON_CO_DO(co_await enter("remove_container"));
  containers.erase(id);
  co_return Result<>();
}

Task<ExecOutcome> SmallWorld::exec(std::string id, std::vector<std::string> command, Duration) {
  KEELSON_CO_DO(co_await enter(fmt::format("exec {}", fmt::join(command, " "))));
  (void)id;
  co_return ExecOutcome{command.empty() || command[0] != "false" ? 0 : 1, ""};
}

}  // namespace keelson::agent
