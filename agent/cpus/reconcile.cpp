// SPDX-License-Identifier: Apache-2.0
// cpu_manager.h: what runs, and the CPUs that it runs on.
#include <set>

#include "agent/cpus/cpu_manager.h"
#include "common/log.h"

namespace keelson::cpus {

using namespace asio::experimental::awaitable_operators;

namespace {

constexpr const char* kPodUid = "io.kubernetes.pod.uid";
constexpr const char* kContainerName = "io.kubernetes.container.name";
constexpr Duration kLimit = std::chrono::seconds(30);

std::string label(const cri::ContainerStatus& container, const char* key) {
  const auto found = container.labels.find(key);
  return found == container.labels.end() ? "" : found->second;
}

}  // namespace

void CpuManager::wake() {
  woken_.cancel();
}

Task<> CpuManager::wait_woken() {
  co_await woken_.async_wait(use_result);
  co_return Result<>();
}

Task<> CpuManager::run() {
  while (policy_ || give_all_back_) {
    auto done = co_await reconcile();
    if (!done && done.error().kind() == Kind::cancelled) {
      co_return done;
    }
    if (!done && !away_) {
      log::warning("have containers run on their CPUs: {}; trying again", done.error().message());
    }
    away_ = !done;
    const bool more = policy_ || give_all_back_;
    if (done && (changed_ || !more)) {
      continue;
    }
    auto waited = co_await (loop_.sleep(options_.period) || wait_woken());
    if (waited.index() == 0 && !std::get<0>(waited)) {
      co_return std::get<0>(std::move(waited));
    }
  }
  co_return Result<>();
}

Task<std::vector<CpuManager::Running>> CpuManager::running() {
  KEELSON_CO_TRY(const auto listed, co_await runtime_.list_containers({}, kLimit));
  std::vector<Running> found;
  std::set<std::string> there;
  for (const auto& container : listed) {
    const auto uid = label(container, kPodUid);
    if (uid.empty()) {
      continue;  // somebody else's (crictl run)
    }
    there.insert(uid);
    if (container.state == cri::ContainerState::running || container.state == cri::ContainerState::created) {
      found.push_back({.id = container.id, .pod = uid, .name = label(container, kContainerName)});
    }
  }
  drop_stale(there);
  co_return found;
}

/// Pods that came and went while this agent was away: nobody releases them. All others are released by whoever ends
/// them, and none of them for want of its containers: what is there may be older than a pod.
void CpuManager::drop_stale(const std::set<std::string>& there) {
  if (!all_wanted_known_) {
    return;
  }
  std::vector<std::string> stale;
  for (const auto& uid : unclaimed_) {
    if (!there.contains(uid) && !wanted_.contains(uid)) {
      stale.push_back(uid);
    }
  }
  for (const auto& uid : stale) {
    log::info("pod {} is not there any more: its CPUs are shared", uid);
    release(uid);
  }
}

/// What the state does not know, the runtime may: a container that runs on CPUs of its own keeps them.
Task<> CpuManager::remember_running() {
  if (!seek_running_) {
    co_return Result<>();
  }
  KEELSON_CO_TRY(const auto containers, co_await running());
  std::vector<std::pair<Running, CpuSet>> own;
  for (const auto& container : containers) {
    const int count = wanted_by(container);
    if (count == 0) {
      continue;
    }
    const auto status = co_await runtime_.container_status(container.id, kLimit);
    if (!status && status.error().kind() != Kind::not_found) {
      co_return std::unexpected(status.error());
    }
    const auto told = status && status->resources ? status->resources->cpuset_cpus : std::string();
    if (const auto cpus = CpuSet::parse(told).value_or(CpuSet()); cpus.size() == count) {
      own.emplace_back(container, cpus);
    }
  }
  if (!seek_running_) {
    co_return Result<>();  // another pod's question was answered meanwhile
  }
  CpuState changed = state_;
  for (const auto& [container, cpus] : own) {
    if (policy_->give(changed, container.pod, container.name, cpus)) {
      log::info("pod {}: container {} goes on with CPUs {} for itself", container.pod, container.name,
                cpus.to_string());
    }
  }
  KEELSON_CO_DO(store(std::move(changed)));
  // While the API is away, not all that run are wanted yet.
  seek_running_ = !all_wanted_known_;
  co_return Result<>();
}

int CpuManager::wanted_by(const Running& container) const {
  const auto pod = wanted_.find(container.pod);
  if (pod == wanted_.end()) {
    return 0;
  }
  const auto count = pod->second.find(container.name);
  return count == pod->second.end() ? 0 : count->second;
}

/// nullopt: it stays where it is. So does, until it is asked for, what is to have CPUs of its own.
std::optional<CpuSet> CpuManager::cpus_for(const Running& container) const {
  if (!policy_) {
    return machine_.cpus();
  }
  auto cpus = cpus_of(container.pod, container.name);
  if (cpus.empty() && wanted_by(container) == 0) {
    cpus = state_.shared;
  }
  return cpus.empty() ? std::nullopt : std::optional(std::move(cpus));
}

Task<> CpuManager::update(Running container, CpuSet cpus) {
  // All else that is empty here stays as it is (CRI's UpdateContainerResources), as the kubelet asks.
  cri::LinuxResources resources;
  resources.cpuset_cpus = cpus.to_string();
  auto done = co_await runtime_.update_container_resources(container.id, std::move(resources), kLimit);
  if (done) {
    told_[container.id] = std::move(cpus);
    troubles_.erase(container.id);
    co_return Result<>();
  }
  if (done.error().kind() == Kind::cancelled) {
    co_return done;
  }
  const auto text = done.error().message();
  if (auto& known = troubles_[container.id]; known != text) {
    known = text;
    log::warning("pod {}: container {} is to run on CPUs {}: {}; trying again", container.pod, container.name,
                 cpus.to_string(), text);
  }
  co_return fail(Kind::unavailable, "container {}", container.id);
}

Task<> CpuManager::reconcile() {
  if (unsaved_) {
    KEELSON_CO_DO(store(state_));
  }
  changed_ = false;
  KEELSON_CO_TRY(const auto containers, co_await running());
  std::set<std::string> ids;
  for (const auto& container : containers) {
    ids.insert(container.id);
  }
  std::erase_if(told_, [&](const auto& entry) { return !ids.contains(entry.first); });
  std::erase_if(troubles_, [&](const auto& entry) { return !ids.contains(entry.first); });
  bool all = true;
  for (const auto& container : containers) {
    const auto cpus = cpus_for(container);
    const auto told = told_.find(container.id);
    if (!cpus || (told != told_.end() && told->second == *cpus)) {
      continue;
    }
    const auto done = co_await update(container, *cpus);
    if (!done && done.error().kind() == Kind::cancelled) {
      co_return done;
    }
    all = all && done;
  }
  give_all_back_ = give_all_back_ && !all;
  co_return Result<>();
}

}  // namespace keelson::cpus
